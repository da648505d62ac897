import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import type { Delivery, Worker } from '../views/schemas.ts';
import { showWorkers } from '../views/show-system.ts';
import { bytes, empty, progress, table, time } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';

export function addWorkersPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/workers', { config: { access: 'viewer' } }, async (request, reply) => {
    const workers = await showWorkers(context);
    const body = html`<div class="title-row">
        <h1>Workers</h1>
        <span class="sub">list running dispatchers and their current work</span>
      </div>
      <div id="list" data-part>
        ${
          workers.length === 0
            ? empty(
                'No dispatcher is running',
                'No delivery is sent until a dispatcher is started. Deliveries wait in their queues; none is lost.',
              )
            : workers.map((one) => card(one))
        }
      </div>`;
    return sendPage(context, request, reply, { id: 'workers', title: 'Workers', body, live: true });
  });
}

function card(worker: Worker): Html {
  return html`<section class="card" aria-label="${worker.id}">
    <div class="delivery-head">
      <h2>${worker.id}</h2>
      ${worker.active.length > 0 ? html`<span class="chip busy">▶ ${worker.active.length} under way</span>` : html`<span class="chip">idle</span>`}
    </div>
    <dl class="pairs">
      <dt>Host</dt>
      <dd>${worker.host}, process ${worker.pid}</dd>
      <dt>Running since</dt>
      <dd>${time(worker.startedAt, 'at')}</dd>
      ${
        worker.rssBytes !== undefined &&
        html`<dt>Memory</dt>
          <dd>${bytes(worker.rssBytes)}</dd>`
      }
    </dl>
    ${
      worker.active.length > 0 &&
      table(
        'Under way',
        ['Delivery', 'Target', 'Stage', 'Instances', 'Sent', 'Started'],
        worker.active.map((one) => row(one)),
      )
    }
  </section>`;
}

function row(delivery: Delivery): Html {
  return html`<tr>
    <th scope="row"><a class="uid" href="/deliveries/${delivery.deliveryId}">${delivery.deliveryId}</a></th>
    <td>${delivery.target}</td>
    <td>${delivery.stage ?? '–'}</td>
    <td>${progress(delivery)}</td>
    <td class="num">${bytes(delivery.bytesSent)}</td>
    <td class="nowrap">${time(delivery.startedAt)}</td>
  </tr>`;
}
