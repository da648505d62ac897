import { findDelivery } from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { labelsOf } from '../views/summarize-studies.ts';
import { showInstances } from '../views/show-instances.ts';
import { toDeliveryDetail } from '../views/list-deliveries.ts';
import { empty, number, studyPath, table, time } from './components.ts';
import { deliveryFacts, deliveryHead, timeline } from './delivery-parts.ts';
import { html, type Html } from './html.ts';
import type { LedgerPage } from '../views/schemas.ts';
import { sendPage } from './layout/page.ts';

const shown = 200;

/** One delivery: its timeline, the instances that the target has confirmed and rejected, and the log of its job. */
export function addDeliveryPage(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/deliveries/:deliveryId',
    { config: { access: 'viewer' }, schema: { params: z.object({ deliveryId: z.string().max(60) }) } },
    async (request, reply) => {
      const { operations } = context;
      const record = await findDelivery(operations, request.params.deliveryId);
      const [delivery, ledger, logs, labels] = await Promise.all([
        toDeliveryDetail(operations, record),
        showInstances(operations, record, { limit: shown }),
        operations.queues.target(record.target).getJobLogs(record.deliveryId, 0, 999),
        labelsOf(context, [record]),
      ]);
      const label = labels.get(`${record.source} ${record.orthancStudyId}`);
      const job = `/queues/queue/${encodeURIComponent(`target-${record.target}`)}/${record.deliveryId}`;
      const body = html`<div id="delivery" data-part>
        <div class="title-row">
          <h1>Delivery to ${delivery.target}</h1>
          <span class="sub"
            ><a href="${studyPath(record)}"
              >${label?.patientName || 'the study'}${label?.accessionNumber && ` · ${label.accessionNumber}`}</a
            ></span
          >
        </div>
        <section class="card" aria-label="State">
          ${deliveryHead(delivery, request.identity, 2, label)} ${deliveryFacts(delivery)}
          <p class="muted">
            Id <span class="uid">${delivery.deliveryId}</span> · <a href="${job}">its job in Bull Board</a>
          </p>
        </section>
        <div class="cards">
          <section class="card">
            <h2>Timeline</h2>
            ${timeline(delivery)}
          </section>
          <section class="card">
            <h2>Log of the job</h2>
            ${logs.logs.length === 0 ? empty('No log', 'No attempt was made yet, or the job was removed.') : html`<pre class="log" tabindex="0">${logs.logs.join('\n')}</pre>`}
          </section>
        </div>
        <h2>Instances at the target</h2>
        <p class="muted">
          ${number(ledger.delivered)} confirmed, ${number(ledger.quarantined)} quarantined, of ${number(delivery.total)}
          in the study${ledger.delivered + ledger.quarantined > shown && ` (the first ${shown} are shown)`}.
        </p>
        ${instances(ledger)}
      </div>`;
      return sendPage(context, request, reply, {
        id: 'deliveries',
        title: `Delivery to ${delivery.target}`,
        body,
        live: true,
      });
    },
  );
}

/** Rejected instances are shown immediately; confirmed ones, often thousands, on request. */
function instances({ instances: all }: LedgerPage): Html {
  if (all.length === 0)
    return empty('Nothing is confirmed yet', 'Each instance appears here as the target confirms it.');
  const refused = all.filter(({ state }) => state === 'quarantined');
  const confirmed = all.filter(({ state }) => state === 'delivered');
  return html`${refused.length > 0 && instanceTable('Quarantined instances', refused)}
  ${
    confirmed.length > 0 &&
    html`<details id="confirmed">
      <summary>${number(confirmed.length)} confirmed ${confirmed.length === 1 ? 'instance' : 'instances'}</summary>
      ${instanceTable('Confirmed instances', confirmed)}
    </details>`
  }`;
}

function instanceTable(caption: string, rows: LedgerPage['instances']): Html {
  return table(
    caption,
    ['SOP Instance UID', 'State', 'When', 'Attempt', 'Remark'],
    rows.map(
      (one) =>
        html`<tr>
          <th scope="row" class="uid">${one.sopInstanceUid}</th>
          <td>
            ${one.state === 'delivered' ? html`<span class="chip good">✓ confirmed</span>` : html`<span class="chip bad">✕ quarantined</span>`}
          </td>
          <td class="nowrap">${time(one.at, 'at')}</td>
          <td class="num">${one.attempt}</td>
          <td>
            ${one.code !== undefined ? html`<b>${one.code}</b> ${one.message}` : html`<span class="none">–</span>`}
          </td>
        </tr>`,
    ),
  );
}
