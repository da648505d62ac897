import { formatDuration } from '@dicom-dispatch/core';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import type { Source } from '../views/schemas.ts';
import { listSources } from '../views/show-sources.ts';
import { number, time } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';

export function addSourcesPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/sources', { config: { access: 'viewer' } }, async (request, reply) => {
    const sources = await listSources(context);
    const body = html`<div class="title-row"><h1>Sources</h1></div>
      <div id="list" data-part class="cards">${sources.map((one) => card(one))}</div>`;
    return sendPage(context, request, reply, { id: 'sources', title: 'Sources', body, live: true });
  });
}

function card(source: Source): Html {
  const { sweep } = source;
  return html`<section class="card" aria-label="${source.name}">
    <div class="delivery-head">
      <h2>${source.name}</h2>
      ${source.reachable ? html`<span class="chip good">✓ answers</span>` : html`<span class="chip bad">✕ does not answer</span>`}
      ${source.followed ? html`<span class="chip good">✓ followed</span>` : html`<span class="chip bad">✕ no router follows it</span>`}
    </div>
    ${!source.reachable && html`<p class="note bad">${source.detail}</p>`}
    <dl class="pairs">
      <dt>Address</dt>
      <dd class="uid">${source.url}</dd>
      ${
        source.reachable &&
        html`<dt>Server</dt>
          <dd>${source.detail}</dd>`
      }
      <dt>Leader</dt>
      <dd>${source.leader ?? 'no router; new studies are not seen'}</dd>
      <dt>Change feed</dt>
      <dd>
        ${source.position === undefined ? 'not followed yet' : html`at ${number(source.position)}${source.newest !== undefined && ` of ${number(source.newest)}`}`}
      </dd>
      <dt>Behind by</dt>
      <dd>
        ${source.lag === undefined ? '–' : source.lag === 0 ? 'nothing' : `${number(source.lag)} ${source.lag === 1 ? 'change' : 'changes'}`}
      </dd>
      <dt>Database</dt>
      <dd>${source.epoch === undefined ? '–' : `life ${source.epoch}`}</dd>
      <dt>Last sweep</dt>
      <dd>
        ${
          sweep
            ? html`${time(sweep.endedAt)}: ${number(sweep.studies)} studies looked at, ${number(sweep.routed)} routed,
              in ${formatDuration(sweep.durationMs)}`
            : 'none has ended yet'
        }
        ${source.sweepAt !== undefined && html`<span class="second">one is under way, at study ${number(source.sweepAt)}</span>`}
      </dd>
      <dt>Tried again later</dt>
      <dd>${number(source.triedLater)} ${source.triedLater === 1 ? 'study' : 'studies'} that could not be read</dd>
    </dl>
  </section>`;
}
