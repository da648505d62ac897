import { draftText } from '@dicom-dispatch/operations';
import type { ApiServer } from '../../api/api-server.ts';
import { editContext } from '../../configuration/edit-context.ts';
import { rulesOf } from '../../configuration/rule-form.ts';
import type { ConsoleContext } from '../../console-context.ts';
import { actionButton, empty, table } from '../components.ts';
import { html, type Html } from '../html.ts';
import { sendPage } from '../layout/page.ts';

/** Rules in the change that is being prepared. */
export function addRuleListPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/configuration/rules', { config: { access: 'editor' } }, async (request, reply) => {
    const rules = rulesOf(await draftText(editContext(context)));
    const body = html`<div class="title-row">
        <h1>Configured rules</h1>
        <a class="button" href="/configuration/rule">Add a rule</a>
        <a href="/configuration">Change and versions</a>
      </div>
      <div id="list" data-part>
        ${
          rules.length === 0
            ? empty('No rules', 'Without a rule no study is sent.')
            : table(
                'Rules',
                ['#', 'Rule', 'When', 'Targets', ''],
                rules.map((rule, index) => row(rule, index, rules.length)),
              )
        }
      </div>`;
    return sendPage(context, request, reply, { id: 'configuration', title: 'Configured rules', body });
  });
}

function row(rule: Readonly<Record<string, unknown>>, index: number, count: number): Html {
  const name = String(rule['name'] ?? '');
  const isOff = rule['enabled'] === false;
  const path = `/api/configuration/rules/${encodeURIComponent(name)}`;
  const { when, targets } = rule;
  return html`<tr>
    <td class="num">${index + 1}</td>
    <th scope="row">
      <a href="/configuration/rule?name=${encodeURIComponent(name)}">${name}</a
      >${isOff && html` <span class="chip warn">⊘ off</span>`}
      <span class="second">${String(rule['description'] ?? '')}</span>
    </th>
    <td class="wide">${when === undefined ? 'every study' : html`<code>${String(when)}</code>`}</td>
    <td>${Array.isArray(targets) ? targets.join(', ') : ''}</td>
    <td>
      <span class="buttons">
        ${index > 0 && moveButton(name, path, 'up')} ${index < count - 1 && moveButton(name, path, 'down')}
        <a class="button" href="/configuration/rule?copy=${encodeURIComponent(name)}" aria-label="Duplicate ${name}"
          >Duplicate</a
        >
        ${actionButton({
          label: isOff ? 'Enable' : 'Disable',
          method: 'POST',
          path: `${path}/enabled`,
          body: { enabled: isOff },
          about: name,
        })}
        ${actionButton({ label: 'Remove', method: 'POST', path: `${path}/remove`, confirm: `Remove the rule ${name} in the change?`, about: name })}
      </span>
    </td>
  </tr>`;
}

function moveButton(name: string, path: string, direction: 'up' | 'down'): Html {
  return actionButton({
    label: direction === 'up' ? '↑' : '↓',
    method: 'POST',
    path: `${path}/move`,
    body: { direction },
    about: `move ${name} ${direction}`,
  });
}
