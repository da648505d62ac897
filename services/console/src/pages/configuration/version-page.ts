import { OperationError } from '@dicom-dispatch/pipeline';
import { unifiedDiff } from '@dicom-dispatch/runtime';
import { z } from 'zod';
import type { ApiServer } from '../../api/api-server.ts';
import { editContext, whyNoEditing } from '../../configuration/edit-context.ts';
import { shownText } from '../../configuration/shown-text.ts';
import type { ConsoleContext } from '../../console-context.ts';
import { isAllowed } from '../../security/identity.ts';
import { time } from '../components.ts';
import { html } from '../html.ts';
import { sendPage } from '../layout/page.ts';

/** One version of the configuration, and the button that restores it. */
export function addVersionPage(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/configuration/versions/:version',
    { config: { access: 'editor' }, schema: { params: z.object({ version: z.coerce.number().int().min(1) }) } },
    async (request, reply) => {
      const { version: number } = request.params;
      const { versions, current } = editContext(context).store;
      const version = await versions.read(number);
      if (!version) throw new OperationError('not-found', `There is no version ${number}.`);
      const [before, { digest, text }] = await Promise.all([versions.read(number - 1), current.read()]);
      const isInUse = digest === version.digest;
      const mayRestore =
        !isInUse &&
        whyNoEditing(context) === undefined &&
        request.identity !== undefined &&
        isAllowed(request.identity.role, 'administrator');
      const shown = (one: string): string => shownText(request, one);
      const name = current.fileName;
      const body = html`<div class="title-row">
          <h1>Version ${number}</h1>
          <span class="sub">${version.author}, ${time(version.at, 'at')} · ${version.reason}</span>
          ${isInUse && html`<span class="chip good">✓ in use</span>`}
        </div>
        ${
          mayRestore &&
          html`<section class="card">
            <h2>Restore</h2>
            <pre class="patch" tabindex="0">${unifiedDiff(name, text, version.text)}</pre>
            <form class="filter" data-apply="/api/configuration/versions/${number}/restore">
              <label class="field grow"
                ><span>Reason, for the history</span><input name="reason" maxlength="200" autocomplete="off"
              /></label>
              <button class="primary">Restore version ${number}</button>
            </form>
          </section>`
        }
        <h2>What it changed</h2>
        <pre class="patch" tabindex="0">${unifiedDiff(name, shown(before?.text ?? ''), shown(version.text))}</pre>`;
      return sendPage(context, request, reply, {
        id: 'configuration',
        title: `Version ${number}`,
        body,
        scripts: ['configure.js'],
      });
    },
  );
}
