import { deliveryStates } from '@dicom-dispatch/state/records';
import { errorCodes, stages } from '@dicom-dispatch/core';
import type { z } from 'zod';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { isAllowed, type Identity } from '../security/identity.ts';
import { pageBudgetMs } from '../views/list-studies.ts';
import { labelsOf } from '../views/summarize-studies.ts';
import { listDeliveries } from '../views/list-deliveries.ts';
import { cursor, selection, type Delivery } from '../views/schemas.ts';
import type { StudyLabel } from '../source/source-lookup.ts';
import { optional, progress, select, stateChip, stateText, studyPath, table, time } from './components.ts';
import { deliveryButtons } from './delivery-parts.ts';
import { html, type Html } from './html.ts';
import { nothingFound, pager, searchedText } from './pager.ts';
import { sendPage } from './layout/page.ts';
import { emptyAsMissing } from './query.ts';

const deliveriesQuery = selection.extend({
  cursor: cursor.optional(),
});
type Query = z.infer<typeof deliveriesQuery>;

/** Deliveries by filter, and actions on all that the filter means. */
export function addDeliveriesPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/deliveries', { config: { access: 'viewer' } }, async (request, reply) => {
    const query = deliveriesQuery.parse(emptyAsMissing(request.query));
    const list = await listDeliveries(context, { ...query, limit: 50, budgetMs: pageBudgetMs });
    const { deliveries } = list;
    const labels = await labelsOf(context, deliveries);
    const body = html`<div class="title-row">
        <h1>Deliveries</h1>
        <span class="sub">one study to one target each, the latest change first</span>
      </div>
      ${filter(context, query)} ${bulkButtons(query, request.identity)}
      <div id="list" data-part>
        ${
          deliveries.length === 0
            ? nothingFound(list, 'No delivery matches', 'Choose another filter to see more.')
            : table(
                'Deliveries',
                ['Study', 'Target', 'State', 'Instances', 'Last error', optional('Changed'), ''],
                deliveries.map((one) => row(one, labels.get(`${one.source} ${one.orthancStudyId}`), request.identity)),
              )
        }
      </div>
      ${pager('/deliveries', query, list, searchedText(list))}`;
    return sendPage(context, request, reply, {
      id: 'deliveries',
      title: 'Deliveries',
      body,
      live: query.cursor === undefined,
    });
  });
}

function filter(context: ConsoleContext, query: Query): Html {
  const config = context.config();
  const named = (names: readonly string[], all: string) => [
    ['', all] as const,
    ...names.map((name) => [name, name] as const),
  ];
  const isSet = Object.values(query).some((value) => value !== undefined);
  return html`<form class="filter" action="/deliveries" role="search">
    ${select('state', 'State', [['', 'any state'], ...deliveryStates.map((state) => [state, stateText(state)] as const)], query.state)}
    ${select('target', 'Target', named(Object.keys(config.targets), 'any target'), query.target)}
    ${select('stage', 'Failed in stage', named(stages, 'any stage'), query.stage)}
    ${select('code', 'Error', named(Object.keys(errorCodes).sort(), 'any error'), query.code)}
    ${select(
      'rule',
      'Rule',
      named(
        config.rules.map(({ name }) => name),
        'any rule',
      ),
      query.rule,
    )}
    <button>Apply</button>
    ${isSet && html`<a class="button" href="/deliveries">Clear</a>`}
  </form>`;
}

/** Actions on everything that the filter means, not only on this page; the count is shown and asked about first. */
function bulkButtons(query: Query, identity: Identity | undefined): Html {
  if (!identity || !isAllowed(identity.role, 'operator')) return html``;
  const { cursor: _, ...meant } = query;
  const data = JSON.stringify(meant);
  return html`<div class="buttons card" role="group" aria-label="Actions on all that match">
    <span>All that match:</span>
    <button type="button" class="primary" data-bulk="retry" data-filter="${data}">Retry …</button>
    <button type="button" data-bulk="hold" data-filter="${data}">Hold …</button>
    <button type="button" data-bulk="release" data-filter="${data}">Release …</button>
    <button type="button" data-bulk="resolve" data-filter="${data}" data-reason="Why do they need nobody any more?">
      Resolve …
    </button>
    ${query.state === 'resolved' && html`<button type="button" data-bulk="reopen" data-filter="${data}">Reopen …</button>`}
    <button type="button" class="danger" data-bulk="cancel" data-filter="${data}">Cancel …</button>
  </div>`;
}

function row(delivery: Delivery, label: StudyLabel | undefined, identity: Identity | undefined): Html {
  const { error } = delivery;
  return html`<tr data-key="${delivery.deliveryId}">
    <th scope="row">
      <a href="${studyPath(delivery)}">${label?.patientName || label?.accessionNumber || 'Study'}</a>
      <span class="second">${label?.accessionNumber || delivery.modalities.join(', ')}</span>
    </th>
    <td>${delivery.target}</td>
    <td>
      <a
        class="plain-link"
        href="/deliveries/${delivery.deliveryId}"
        aria-label="Delivery to ${delivery.target}: ${stateText(delivery.state)}"
        >${stateChip(delivery)}</a
      >
    </td>
    <td>${progress(delivery)}</td>
    <td class="wide">
      ${error ? html`<b>${error.code}</b> in ${error.stage}<span class="second">${error.message}</span>` : html`<span class="none">–</span>`}
    </td>
    <td class="nowrap opt">${time(delivery.updatedAt)}</td>
    <td>${deliveryButtons(delivery, identity, label)}</td>
  </tr>`;
}
