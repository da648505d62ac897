import { listBatches } from '@dicom-dispatch/operations';
import type { Batch } from '@dicom-dispatch/state/batches';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { isAllowed, type Identity } from '../security/identity.ts';
import { actionButton, empty, number, right, select, table, time } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';

/** Routing of many old studies: manually, or for a migration. */
export function addBatchesPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/batches', { config: { access: 'viewer' } }, async (request, reply) => {
    const batches = await listBatches(context.operations);
    const { identity } = request;
    const isOperator = identity !== undefined && isAllowed(identity.role, 'operator');
    const body = html`<div class="title-row">
        <h1>Batches</h1>
        <span class="sub">many studies of a source, routed one by one with lower priority than new studies</span>
      </div>
      ${isOperator && form(context)}
      <div id="list" data-part>
        ${
          batches.length === 0
            ? empty('No batch', 'No batch was started in the last 90 days.')
            : table(
                'Batches',
                ['Batch', 'State', 'Progress', right('Skipped'), right('Failed'), right('A minute'), 'Begun', ''],
                batches.map((one) => row(one, identity, context.config().sources[one.source]?.enabled !== false)),
              )
        }
      </div>`;
    return sendPage(context, request, reply, { id: 'batches', title: 'Batches', body, live: true });
  });
}

function form(context: ConsoleContext): Html {
  const { sources, targets, groups, rules } = context.config();
  const to = [...Object.keys(targets), ...Object.keys(groups)];
  const choices = (names: readonly string[]) => names.map((name) => [name, name] as const);
  return html`<form
    class="filter card"
    data-method="POST"
    data-path="/api/batches"
    data-count="/api/batches/preview"
    data-done="The batch has started."
    aria-label="Route old studies"
  >
    ${select('source', 'Source', choices(Object.keys(sources).filter((name) => sources[name]?.enabled)))}
    <label class="field"><span>Study date from</span><input type="date" name="from" data-optional /></label>
    <label class="field"><span>until</span><input type="date" name="until" data-optional /></label>
    <label class="field"
      ><span>Modality</span
      ><input name="modality" data-optional maxlength="16" size="6" pattern="[A-Z0-9]{1,16}" placeholder="any"
    /></label>
    ${
      context.lookup.showsPatientData &&
      html`<label class="field"
        ><span>Description has</span><input name="description" data-optional maxlength="64" placeholder="any"
      /></label>`
    }
    <label class="field"
      ><span>To</span
      ><select name="targets" data-list data-optional>
        <option value="">by the rules</option>
        ${to.map((name) => html`<option>${name}</option>`)}
      </select></label
    >
    <label class="field"
      ><span>By this rule only</span
      ><select name="rule" data-optional>
        <option value="">all rules</option>
        ${rules.map(({ name }) => html`<option>${name}</option>`)}
      </select></label
    >
    <label class="field"
      ><span>Studies per minute</span
      ><input type="number" name="studiesPerMinute" min="1" max="100000" placeholder="no limit"
    /></label>
    <button class="primary">Route …</button>
  </form>`;
}

function row(batch: Batch, identity: Identity | undefined, isEnabled: boolean): Html {
  const looked = batch.routed + batch.skipped + batch.failed;
  const to = batch.targets?.join(', ') ?? (batch.rule === undefined ? 'by the rules' : `rule ${batch.rule}`);
  const kind = { running: 'busy', paused: 'warn', done: 'good', cancelled: '' }[batch.state];
  const leftMinutes =
    isEnabled && batch.state === 'running' && batch.studiesPerMinute !== undefined
      ? Math.ceil((batch.total - looked) / batch.studiesPerMinute)
      : undefined;
  return html`<tr>
    <th scope="row">
      ${batch.source} to ${to}<span class="second"><span class="uid">${batch.id}</span> by ${batch.by}</span>
    </th>
    <td>
      <span class="chip ${kind}">${batch.state}</span
      >${!isEnabled && batch.state === 'running' && html`<span class="second">waits: the source is disabled</span>`}
    </td>
    <td>
      <span class="progress"
        ><progress value="${looked}" max="${batch.total}" aria-label="${looked} of ${batch.total} studies"></progress
        ><span class="num">${number(looked)} / ${number(batch.total)}</span></span
      >${leftMinutes !== undefined && html`<span class="second">about ${number(leftMinutes)} min left</span>`}
    </td>
    <td class="num right">${number(batch.skipped)}</td>
    <td class="num right">
      ${number(batch.failed)}${batch.problem !== undefined && html`<span class="second">${batch.problem}</span>`}
    </td>
    <td class="num right">${batch.studiesPerMinute ?? 'no limit'}</td>
    <td class="nowrap">${time(batch.createdAt)}</td>
    <td>${buttons(batch, identity)}</td>
  </tr>`;
}

function buttons({ id, state, source }: Batch, identity: Identity | undefined): Html {
  if (!identity || !isAllowed(identity.role, 'operator')) return html``;
  const path = `/api/batches/${id}`;
  const about = `the batch of ${source}`;
  return html`<span class="buttons">
    ${state === 'running' && actionButton({ label: 'Pause', method: 'POST', path: `${path}/pause`, about })}
    ${state === 'paused' && actionButton({ label: 'Resume', method: 'POST', path: `${path}/resume`, kind: 'primary', about })}
    ${(state === 'running' || state === 'paused') && actionButton({ label: 'Cancel', method: 'POST', path: `${path}/cancel`, kind: 'danger', about, confirm: `End ${about}? Studies that are already routed are not affected.` })}
  </span>`;
}
