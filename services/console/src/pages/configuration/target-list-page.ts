import { draftText, readDraft } from '@dicom-dispatch/operations';
import { targetAbouts, targetInfo, aboutType } from '@dicom-dispatch/targets';
import type { ApiServer } from '../../api/api-server.ts';
import { editContext, isEditor } from '../../configuration/edit-context.ts';
import { entriesOf } from '../../configuration/entry-form.ts';
import { judgeAs } from '../../configuration/judge-as.ts';
import type { ConsoleContext } from '../../console-context.ts';
import { actionButton, empty, table, withQuery } from '../components.ts';
import { html, type Html } from '../html.ts';
import { sendPage } from '../layout/page.ts';

type Plain = Readonly<Record<string, unknown>>;

/** Targets in the change that is being prepared, and the types for a new one. */
export function addTargetListPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/configuration/targets', { config: { access: 'editor' } }, async (request, reply) => {
    const edit = editContext(context);
    const text = await draftText(edit);
    const before = (await readDraft(edit))?.baseText ?? text;
    const { config = context.config() } = await judgeAs(edit.store, { before, text, isEditor: isEditor(request) });
    const targets = Object.entries(entriesOf(text, ['targets']));
    const body = html`<div class="title-row">
        <h1>Configured targets</h1>
        <a href="/configuration">Change and versions</a>
      </div>
      <div id="list" data-part>
        ${
          targets.length === 0
            ? empty('No target', 'Choose a type below.')
            : table(
                'Targets',
                ['Target', 'What', ''],
                targets.map(([name, target]) =>
                  row(name, target, config.targets[name] && targetInfo(config.targets[name])),
                ),
              )
        }
      </div>
      <h2>Add a target</h2>
      ${typeList('/configuration/target')}`;
    return sendPage(context, request, reply, { id: 'configuration', title: 'Configured targets', body });
  });
}

function row(name: string, target: Plain, info: string | undefined): Html {
  const type = String(target['type']);
  const isOff = target['enabled'] === false;
  const path = `/configuration/target?name=${encodeURIComponent(name)}`;
  return html`<tr>
    <th scope="row">
      <a href="${path}">${name}</a>${isOff && html` <span class="chip warn">⊘ disabled</span>`}
      <span class="second">${String(target['description'] ?? '')}</span>
    </th>
    <td class="wide">${aboutType(type).displayName}<span class="second">${info}</span></td>
    <td>
      <span class="buttons">
        <a class="button" href="/configuration/target?copy=${encodeURIComponent(name)}" aria-label="Duplicate ${name}"
          >Duplicate</a
        >
        <a
          class="button"
          href="/configuration/target/remove?name=${encodeURIComponent(name)}"
          aria-label="Remove ${name}"
          >Remove</a
        >
        ${switchButton(name, isOff)}
      </span>
    </td>
  </tr>`;
}

function switchButton(name: string, isOff: boolean): Html {
  return actionButton({
    label: isOff ? 'Enable' : 'Disable',
    method: 'POST',
    path: `/api/configuration/targets/${encodeURIComponent(name)}/enabled`,
    body: { enabled: isOff },
    about: name,
  });
}

/** The types of targets to choose from, as links to the form of each. */
export function typeList(form: string): Html {
  return html`<ul class="types">
    ${Object.entries(targetAbouts).map(
      ([type, about]) =>
        html`<li>
          <a class="card" href="${withQuery(form, { type })}"
            >${typeIcon(about.icon)}<b>${about.displayName}</b><span class="second">${about.purpose}</span></a
          >
        </li>`,
    )}
  </ul>`;
}

/** The icon of a type; its path data are those of its handler. */
export function typeIcon(data: string): Html {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="${data}" /></svg>`;
}
