import { testModalities } from '@dicom-dispatch/operations';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { select } from './components.ts';
import { html } from './html.ts';
import { sendPage } from './layout/page.ts';

/** Sends a synthetic study through the complete system: the last step of the first start, and a test at any time. */
export function addTestStudyPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/test-study', { config: { access: 'administrator' } }, (request, reply) => {
    const sources = Object.entries(context.config().sources).flatMap(([name, { enabled }]) => (enabled ? name : []));
    const body = html`<div class="title-row"><h1>Send a test study</h1></div>
      <form class="card" data-test-study>
        <p>
          A small synthetic study is stored in Orthanc. Its patient is <b>TEST^DICOM-DISPATCH</b>. The rules apply to it
          as to any other study: <b>the targets that they select receive it.</b> Orthanc reports a study as stable after
          one minute by default (StableAge). Then the study is routed. Delete it afterwards in Orthanc and at the
          targets.
        </p>
        <div class="split">
          ${select(
            'source',
            'Source',
            sources.map((one) => [one, one] as const),
          )}
          ${select(
            'modality',
            'Modality',
            testModalities.map((one) => [one, one] as const),
          )}
        </div>
        <div class="buttons">
          <button class="primary">Send the test study</button>
          <a class="button" href="/">To the console</a>
        </div>
      </form>`;
    return sendPage(context, request, reply, {
      id: 'sources',
      title: 'Send a test study',
      body,
      scripts: ['test-study.js'],
    });
  });
}
