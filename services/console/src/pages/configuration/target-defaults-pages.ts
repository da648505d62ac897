import { draftText, valueDigest } from '@dicom-dispatch/operations';
import { aboutType, targetAbouts } from '@dicom-dispatch/targets';
import { OperationError } from '@dicom-dispatch/pipeline';
import { z } from 'zod';
import type { ApiServer } from '../../api/api-server.ts';
import { editContext } from '../../configuration/edit-context.ts';
import { entriesOf } from '../../configuration/entry-form.ts';
import { aboutKind, kindSpec, needKind } from '../../configuration/entry-kinds.ts';
import { targetType } from '../../configuration/target-types.ts';
import type { ConsoleContext } from '../../console-context.ts';
import { actionButton, table, withQuery } from '../components.ts';
import { html, type Html } from '../html.ts';
import { sendPage } from '../layout/page.ts';
import { optionSections } from './option-sections.ts';
import { typeIcon } from './target-list-page.ts';

type Plain = Readonly<Record<string, unknown>>;

const kind = 'targetDefaults';
const path = '/configuration/target-defaults';

/** Default options of the targets of each type: the list of types, and a form for each. */
export function addTargetDefaultsPages(server: ApiServer, context: ConsoleContext): void {
  server.get(path, { config: { access: 'editor' } }, async (request, reply) => {
    needKind(request, kind);
    const { title, purpose } = aboutKind(kind);
    const text = await draftText(editContext(context));
    const entries = entriesOf(text, [kind]);
    const targets = Object.values(entriesOf(text, ['targets']));
    const body = html`<div class="title-row">
        <h1>${title}</h1>
        <span class="sub">${purpose}</span>
        <a href="/configuration">Change and versions</a>
      </div>
      <div id="list" data-part>
        ${table(
          title,
          ['Type', 'Targets', 'Defaults', ''],
          typesOf(text).map((type) =>
            row(type, entries[type], targets.filter((target) => target?.['type'] === type).length),
          ),
        )}
      </div>`;
    return sendPage(context, request, reply, { id: 'configuration', title, body });
  });

  const query = z.object({ type: z.string().min(1).max(64) });
  server.get(
    `${path}/form`,
    { config: { access: 'editor' }, schema: { querystring: query } },
    async (request, reply) => {
      needKind(request, kind);
      const edit = editContext(context);
      const { type } = request.query;
      const text = await draftText(edit);
      // An external type is loaded as a program: only if the configuration already names it.
      if (!typesOf(text).includes(type)) throw new OperationError('not-found', `There is no target type "${type}".`);
      const present = entriesOf(text, [kind])[type];
      const [{ about }, { fields }] = await Promise.all([targetType(edit, type, true), kindSpec(kind, edit, type)]);
      const title = `Defaults of ${about.displayName}`;
      const body = html`<div class="title-row">
          ${typeIcon(about.icon)}
          <h1>${title}</h1>
          <span class="sub">${aboutKind(kind).purpose}</span>
        </div>
        <form
          class="config"
          autocomplete="off"
          data-entry-form="/api/configuration/entries/${kind}"
          data-was="${present && type}"
          data-seen="${present && valueDigest(text, [kind, type])}"
        >
          <input type="hidden" data-name value="${type}" />
          ${optionSections({ type, about, fields }, present ?? {})}
          <p class="field-error" data-error-of=""></p>
          <div class="buttons">
            <button class="primary">Save to draft</button>
            <a class="button" href="${path}">Back</a>
          </div>
        </form>`;
      return sendPage(context, request, reply, { id: 'configuration', title, body, scripts: ['configure.js'] });
    },
  );
}

/** The built-in types, and those in the configuration. */
function typesOf(text: string): string[] {
  const named = Object.values(entriesOf(text, ['targets'])).map((target) => target?.['type']);
  const all = [...Object.keys(targetAbouts), ...Object.keys(entriesOf(text, [kind])), ...named];
  return [...new Set(all.filter((type) => typeof type === 'string'))];
}

function row(type: string, defaults: Plain | undefined, targets: number): Html {
  return html`<tr>
    <th scope="row">
      <a href="${withQuery(`${path}/form`, { type })}">${aboutType(type).displayName}</a>
      <span class="second">${type}</span>
    </th>
    <td class="num">${targets}</td>
    <td class="wide">${Object.keys(defaults ?? {}).join(', ')}</td>
    <td>
      ${
        defaults &&
        actionButton({
          label: 'Remove',
          method: 'POST',
          path: `/api/configuration/entries/${kind}/${encodeURIComponent(type)}/remove`,
          confirm: `Remove the defaults of ${type} in the change?`,
          about: type,
        })
      }
    </td>
  </tr>`;
}
