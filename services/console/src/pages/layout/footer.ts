import { buildText, type Build } from '@dicom-dispatch/runtime';
import { html, type Html } from '../html.ts';

/** What runs here, and whose time zone the times of the page are in: the page's script writes them in the reader's. */
export function footer(build: Build): Html {
  return html`<footer class="foot">
    <span>dicom-dispatch ${buildText(build)}</span>
    <span>Times: <span data-zone>UTC</span></span>
  </footer>`;
}
