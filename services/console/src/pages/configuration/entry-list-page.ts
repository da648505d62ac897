import { draftText } from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ApiServer } from '../../api/api-server.ts';
import { editContext } from '../../configuration/edit-context.ts';
import { entriesOf } from '../../configuration/entry-form.ts';
import {
  aboutKind,
  disablableKinds,
  entryKinds,
  needKind,
  summarize,
  type FormKind,
} from '../../configuration/entry-kinds.ts';
import type { ConsoleContext } from '../../console-context.ts';
import { actionButton, empty, table, withQuery } from '../components.ts';
import { html, type Html } from '../html.ts';
import { sendPage } from '../layout/page.ts';

/** Sources, groups, transforms, users and others in the change that is being prepared. */
export function addEntryListPage(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/configuration/entries',
    { config: { access: 'editor' }, schema: { querystring: z.object({ kind: z.enum(entryKinds) }) } },
    async (request, reply) => {
      const { kind } = request.query;
      needKind(request, kind);
      const { title, noun, purpose, path } = aboutKind(kind);
      const entries = Object.entries(entriesOf(await draftText(editContext(context)), path));
      const article = /^[aeio]/.test(noun) ? 'an' : 'a';
      const body = html`<div class="title-row">
          <h1>${title}</h1>
          <span class="sub">${purpose}</span>
          <a class="button" href="${withQuery('/configuration/entry', { kind })}">Add ${article} ${noun}</a>
          <a href="/configuration">Change and versions</a>
        </div>
        <div id="list" data-part>
          ${
            entries.length === 0
              ? empty(`No ${noun}`, purpose)
              : table(
                  title,
                  [title, 'What', ''],
                  entries.map(([name, value]) => row(kind, noun, name, value)),
                )
          }
        </div>`;
      return sendPage(context, request, reply, { id: 'configuration', title, body });
    },
  );
}

function row(kind: FormKind, noun: string, name: string, value: Readonly<Record<string, unknown>>): Html {
  const isOff = value['enabled'] === false;
  return html`<tr>
    <th scope="row">
      <a href="${withQuery('/configuration/entry', { kind, name })}">${name}</a
      >${isOff && html` <span class="chip warn">⊘ disabled</span>`}
    </th>
    <td class="wide">${summarize(kind, value ?? {})}</td>
    <td>
      <span class="buttons">
        <a
          class="button"
          href="${withQuery('/configuration/entry', { kind, copy: name })}"
          aria-label="Duplicate ${name}"
          >Duplicate</a
        >
        ${
          (disablableKinds as readonly string[]).includes(kind) &&
          actionButton({
            label: isOff ? 'Enable' : 'Disable',
            method: 'POST',
            path: `/api/configuration/entries/${kind}/${encodeURIComponent(name)}/enabled`,
            body: { enabled: isOff },
            about: name,
          })
        }
        ${actionButton({
          label: 'Remove',
          method: 'POST',
          path: `/api/configuration/entries/${kind}/${encodeURIComponent(name)}/remove`,
          confirm: `Remove the ${noun} ${name} in the change?`,
          about: name,
        })}
      </span>
    </td>
  </tr>`;
}
