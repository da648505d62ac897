import { selectableStates } from '@dicom-dispatch/state/records';
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
import { optional, progress, select, stateChip, stateText, studyPath, table, time, withQuery } from './components.ts';
import { deliveryButtons } from './delivery-parts.ts';
import { html, type Html } from './html.ts';
import { moreFilters, nothingFound, pager, searchedText } from './pager.ts';
import { sendPage } from './layout/page.ts';
import { dayFields, daysInLinks, emptyAsMissing, readDays, type DayRange } from './query.ts';

const deliveriesQuery = selection.extend({
  cursor: cursor.optional(),
});
type Query = z.infer<typeof deliveriesQuery>;

/** Deliveries by filter, and actions on all that match the filter. */
export function addDeliveriesPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/deliveries', { config: { access: 'viewer' } }, async (request, reply) => {
    const asked = emptyAsMissing(request.query);
    const { days, times } = readDays(asked);
    const query = deliveriesQuery.parse({ ...asked, ...times });
    const list = await listDeliveries(context, { ...query, limit: 50, budgetMs: pageBudgetMs });
    const { deliveries } = list;
    const labels = await labelsOf(context, deliveries);
    const body = html`<div class="title-row">
        <h1>Deliveries</h1>
        <span class="sub">one study to one target each, latest change first</span>
      </div>
      ${filter(context, query, days)} ${bulkButtons(query, request.identity)}
      <div id="list" data-part>
        ${
          deliveries.length === 0
            ? nothingFound(list, 'No delivery matches', 'Change the filter to see more.')
            : table(
                'Deliveries',
                ['Study', 'State', 'Target', 'Instances', 'Why it has not arrived', optional('Changed'), ''],
                deliveries.map((one) => row(one, labels.get(`${one.source} ${one.orthancStudyId}`), request.identity)),
              )
        }
      </div>
      ${pager('/deliveries', { ...query, ...daysInLinks(days) }, list, searchedText(list), withQuery('/api/deliveries.csv', { ...query, cursor: undefined }))}`;
    return sendPage(context, request, reply, {
      id: 'deliveries',
      title: 'Deliveries',
      body,
      live: query.cursor === undefined,
    });
  });
}

function filter(context: ConsoleContext, query: Query, days: DayRange): Html {
  const config = context.config();
  const named = (names: readonly string[], all: string) => [
    ['', all] as const,
    ...names.map((name) => [name, name] as const),
  ];
  const isSet = Object.values(query).some((value) => value !== undefined);
  return html`<form class="filter" action="/deliveries" role="search">
    ${select('state', 'State', [['', 'any state'], ...selectableStates.map((state) => [state, stateText(state)] as const)], query.state)}
    ${select('target', 'Target', named(Object.keys(config.targets), 'any target'), query.target)}
    ${select('code', 'Error', named(Object.keys(errorCodes).sort(), 'any error'), query.code)}
    <button>Apply</button>
    ${isSet && html`<a class="button" href="/deliveries">Clear</a>`}
    ${moreFilters(
      [query.stage, query.rule, query.since, query.until].some((value) => value !== undefined),
      html`${select('stage', 'Failed in stage', named(stages, 'any stage'), query.stage)}
      ${select(
        'rule',
        'Rule',
        named(
          config.rules.map(({ name }) => name),
          'any rule',
        ),
        query.rule,
      )}
      ${dayFields('Changed', days)}`,
    )}
  </form>`;
}

/** Actions on everything that matches the filter, not only on this page; the number is shown and confirmed first. */
function bulkButtons(query: Query, identity: Identity | undefined): Html {
  if (!identity || !isAllowed(identity.role, 'operator')) return html``;
  const { cursor: _, ...meant } = query;
  const data = JSON.stringify(meant);
  return html`<div class="buttons card" role="group" aria-label="Actions on all that match">
    <span>All that match:</span>
    <button type="button" class="primary" data-bulk="retry" data-filter="${data}">Retry …</button>
    <button type="button" data-bulk="hold" data-filter="${data}">Hold …</button>
    <button type="button" data-bulk="release" data-filter="${data}">Release …</button>
    <button type="button" data-bulk="resolve" data-filter="${data}" data-reason="Why is no further action needed?">
      Resolve …
    </button>
    ${query.state === 'resolved' && html`<button type="button" data-bulk="reopen" data-filter="${data}">Reopen …</button>`}
    <button type="button" class="danger" data-bulk="cancel" data-filter="${data}">Cancel …</button>
  </div>`;
}

function row(delivery: Delivery, label: StudyLabel | undefined, identity: Identity | undefined): Html {
  return html`<tr data-key="${delivery.deliveryId}">
    <th scope="row">
      <a href="${studyPath(delivery)}">${label?.patientName || label?.accessionNumber || 'Study'}</a>
      <span class="second">${label?.accessionNumber || delivery.modalities.join(', ')}</span>
    </th>
    <td>
      <a
        class="plain-link"
        href="/deliveries/${delivery.deliveryId}"
        aria-label="Delivery to ${delivery.target}: ${stateText(delivery.state)}"
        >${stateChip(delivery)}</a
      >
    </td>
    <td>${delivery.target}</td>
    <td>${progress(delivery)}</td>
    <td class="wide">${why(delivery)}</td>
    <td class="nowrap opt">${time(delivery.updatedAt)}</td>
    <td>${deliveryButtons(delivery, identity, label)}</td>
  </tr>`;
}

/** Why a delivery waits, with its last error; for an ended delivery its error. */
function why({ why: waits, error }: Delivery): Html {
  const failed = error && html`<b>${error.code}</b> in ${error.stage}`;
  if (waits !== undefined) return html`${waits}${failed && html`<span class="second">${failed}</span>`}`;
  if (!error) return html`<span class="none">–</span>`;
  return html`${failed}<span class="second">${error.message}</span>`;
}
