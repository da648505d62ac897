import { buildText } from '@dicom-dispatch/runtime';
import type { ConsoleContext } from '../../console-context.ts';
import { html, type Html } from '../html.ts';

/** What runs here, and whose time zone the times of the page are in: the page's script writes them in the reader's. */
export function footer(context: ConsoleContext): Html {
  return html`<footer class="foot">
    <span>dicom-dispatch ${buildText(context.build)}</span>
    <span>Times: <span data-zone>UTC</span></span>
  </footer>`;
}
