import { buildText, type Build } from '@dicom-dispatch/runtime';
import { html, type Html } from '../html.ts';

/** Version and build, and the time zone of the times on the page, which the script of the page converts to that of the user. */
export function footer(build: Build): Html {
  return html`<footer class="foot">
    <span>dicom-dispatch ${buildText(build)}</span>
    <span>Times: <span data-zone>UTC</span></span>
  </footer>`;
}
