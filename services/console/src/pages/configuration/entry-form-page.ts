import { draftText, valueDigest } from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ApiServer } from '../../api/api-server.ts';
import { editContext } from '../../configuration/edit-context.ts';
import { entriesOf, needEntry } from '../../configuration/entry-form.ts';
import { aboutKind, formKinds, kindFields, needKind } from '../../configuration/entry-kinds.ts';
import type { ConsoleContext } from '../../console-context.ts';
import { withQuery } from '../components.ts';
import { html } from '../html.ts';
import { sendPage } from '../layout/page.ts';
import { formFields } from './form-field.ts';
import { nameField } from './name-field.ts';
import { withoutSecrets } from './without-secrets.ts';

const name = z.string().max(64).optional();

/** The form of a source, group, transform, user and so on, generated from the schema; also for sections that exist once. */
export function addEntryFormPage(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/configuration/entry',
    {
      config: { access: 'editor' },
      schema: { querystring: z.object({ kind: z.enum(formKinds), name, copy: name }) },
    },
    async (request, reply) => {
      const { kind, copy } = request.query;
      needKind(request, kind);
      const { title, noun, purpose, path, isSingle } = aboutKind(kind);
      const above = isSingle ? path.slice(0, -1) : path;
      const edit = editContext(context);
      const text = await draftText(edit);
      const entries = entriesOf(text, above);
      const own = path.at(-1) ?? '';
      const was = isSingle ? (Object.hasOwn(entries, own) ? own : undefined) : request.query.name;
      const from = was ?? copy;
      const fields = kindFields(kind);
      const present = from === undefined ? {} : needEntry(entries, noun, from);
      const values = was === undefined ? withoutSecrets(fields, present) : present;
      const heading = isSingle ? title : (was ?? (copy === undefined ? `New ${noun}` : `Copy of ${copy}`));
      const back = isSingle ? '/configuration' : withQuery('/configuration/entries', { kind });
      const body = html`<div class="title-row">
          <h1>${heading}</h1>
          <span class="sub">${purpose}</span>
        </div>
        <form
          class="config"
          autocomplete="off"
          data-entry-form="/api/configuration/entries/${kind}"
          data-was="${was}"
          data-seen="${was === undefined ? undefined : valueDigest(text, [...above, was])}"
        >
          ${isSingle ? html`<input type="hidden" data-name value="${own}" />` : nameField(was ?? '')}
          <section class="card options">${formFields(fields, values)}</section>
          <p class="field-error" data-error-of=""></p>
          <div class="buttons">
            ${kind === 'sources' && html`<button type="button" data-form-test="test-result">Test connection</button>`}
            <button class="primary">Save to draft</button>
            <a class="button" href="${back}">Back</a>
          </div>
          <div id="test-result" aria-live="polite"></div>
        </form>`;
      return sendPage(context, request, reply, {
        id: 'configuration',
        title: heading,
        body,
        scripts: ['configure.js'],
      });
    },
  );
}
