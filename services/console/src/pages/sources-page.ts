import { formatDuration } from '@dicom-dispatch/core';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import type { Source } from '../views/schemas.ts';
import { listSources } from '../views/show-system.ts';
import { isAllowed, type Identity } from '../security/identity.ts';
import { actionButton, number, studyPath, table, time } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';

export function addSourcesPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/sources', { config: { access: 'viewer' } }, async (request, reply) => {
    const sources = await listSources(context);
    const body = html`<div class="title-row">
        <h1>Sources</h1>
        ${isAllowed(request.identity?.role ?? 'viewer', 'administrator') && html`<a class="button" href="/test-study">Send a test study</a>`}
      </div>
      <div id="list" data-part class="cards">${sources.map((one) => card(one, request.identity))}</div>`;
    return sendPage(context, request, reply, { id: 'sources', title: 'Sources', body, live: true });
  });
}

function card(source: Source, identity: Identity | undefined): Html {
  const { sweep } = source;
  return html`<section class="card" id="${source.name}" aria-label="${source.name}">
    <div class="delivery-head">
      <h2>${source.name}</h2>
      ${source.reachable ? html`<span class="chip good">✓ answers</span>` : html`<span class="chip bad">✕ does not answer</span>`}
      ${!source.enabled && html`<span class="chip warn">⊘ disabled</span>`}
      ${source.followed ? html`<span class="chip good">✓ followed</span>` : source.enabled && html`<span class="chip bad">✕ no router follows it</span>`}
    </div>
    ${!source.reachable && html`<p class="note bad">${source.detail}. ${source.remedy}</p>`}
    <dl class="pairs">
      <dt>Address</dt>
      <dd class="uid">${source.url}</dd>
      ${
        source.reachable &&
        html`<dt>Server</dt>
          <dd>${source.detail}</dd>`
      }
      <dt>Leader</dt>
      <dd>
        ${source.leader ?? (source.enabled ? 'no router; new studies are not found' : 'none: the source is disabled; its new studies are routed when it is enabled')}
      </dd>
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
            ? html`${time(sweep.endedAt)}: ${number(sweep.studies)} studies compared, ${number(sweep.routed)} routed, in
              ${formatDuration(sweep.durationMs)}`
            : 'none has ended yet'
        }
        ${source.sweepAt !== undefined && html`<span class="second">one is in progress, at study ${number(source.sweepAt)}</span>`}
      </dd>
    </dl>
    ${putOff(source, identity)}
  </section>`;
}

/** Studies that cannot be read, each with its reason and its next try. */
function putOff(source: Source, identity: Identity | undefined): Html {
  if (source.triedLater === 0) return html``;
  const canAct = source.enabled && identity !== undefined && isAllowed(identity.role, 'operator');
  const path = `/api/sources/${encodeURIComponent(source.name)}/try`;
  return html`<h3>${number(source.triedLater)} ${source.triedLater === 1 ? 'study' : 'studies'} put off</h3>
    <p class="muted">
      These studies cannot be read because of an error of their own.
      ${source.enabled ? 'They are retried with increasing delays. All other studies continue.' : 'They are retried when the source is enabled.'}
      ${canAct && actionButton({ label: 'Try all now', method: 'POST', path, about: `the studies of ${source.name} that are postponed`, body: {} })}
    </p>
    ${table(
      `Studies of ${source.name} that are postponed`,
      ['Study', 'Reason', 'Since', 'Next try', ''],
      source.putOff.map(
        (one) =>
          html`<tr data-key="${one.orthancStudyId}">
            <th scope="row">
              <a class="uid" href="${studyPath({ source: source.name, orthancStudyId: one.orthancStudyId })}"
                >${one.orthancStudyId}</a
              >
            </th>
            <td class="wide">
              <b>${one.code}</b
              ><span class="second">${one.message} (${number(one.tries)} ${one.tries === 1 ? 'try' : 'tries'})</span>
            </td>
            <td class="nowrap">${time(one.since)}</td>
            <td class="nowrap">${time(one.dueAt)}</td>
            <td>
              ${canAct && actionButton({ label: 'Try now', method: 'POST', path, about: one.orthancStudyId, body: { orthancStudyId: one.orthancStudyId } })}
            </td>
          </tr>`,
      ),
    )}
    ${
      source.triedLater > source.putOff.length &&
      html`<p class="muted">The first ${number(source.putOff.length)} that are due are shown.</p>`
    }`;
}
