import { readTargetAudit, type AuditedTarget } from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { isAllowed, type Identity } from '../security/identity.ts';
import { empty, number, right, table, time } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';

type Audit = NonNullable<AuditedTarget['audit']>;

/** Maximum number of studies on the page; the API returns all. */
const maxStudies = 200;
const maxNames = 10;
const maxDifferences = 5;

/** Audits of a target: comparisons of its content with its confirmations. */
export function addTargetAuditPage(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/targets/:target/audit',
    { config: { access: 'viewer' }, schema: { params: z.object({ target: z.string().max(64) }) } },
    async (request, reply) => {
      const { target } = request.params;
      const known = await readTargetAudit(context.operations, target);
      const body = html`<div class="title-row">
          <h1>Audit of <a href="/targets/${encodeURIComponent(target)}">${target}</a></h1>
          <span class="sub">content of the target, compared with its confirmations</span>
        </div>
        <div id="audit" data-part>${state(known.audit)}</div>
        <div id="acts" data-part>${acts(target, known, request.identity)}</div>
        <div id="findings" data-part>${findings(known)}</div>
        <div id="history" data-part>${history(known)}</div>`;
      return sendPage(context, request, reply, { id: 'targets', title: `Audit of ${target}`, body, live: true });
    },
  );
}

function state(audit: Audit | undefined): Html {
  if (!audit) return empty('Never audited', 'This target was not yet compared with the ledger.');
  const { counts, open } = audit;
  const facts: readonly (readonly [string, number])[] = [
    ['studies compared', counts.studies],
    ['instances', counts.instances],
    ['missing', counts.missing],
    ['different', counts.different],
    ['extra', counts.extra],
    ['not known', counts.unread],
  ];
  return html`<p>
      <b>${audit.state}</b>, begun ${time(audit.startedAt)} by
      ${audit.by}${audit.endedAt !== undefined && html`, ended ${time(audit.endedAt)}`}; contents of
      ${number(counts.compared)} instances compared; ${number(counts.requests)} requests.
    </p>
    ${audit.reason !== undefined && html`<div class="note bad"><p>${audit.reason}</p></div>`}
    <ul class="facts">
      ${facts.map(
        ([name, value]) =>
          html`<li>
            <span class="fact"><span class="value">${number(value)}</span><span class="name">${name}</span></span>
          </li>`,
      )}
    </ul>
    <p class="muted">
      Open now: ${number(open.missing)} missing, ${number(open.different)} different, ${number(open.extra)} extra, in
      ${number(open.studies)} studies.
    </p>`;
}

function acts(target: string, { audit, findings: all }: AuditedTarget, identity: Identity | undefined): Html {
  if (!identity || !isAllowed(identity.role, 'operator')) return html``;
  const path = `/api/targets/${encodeURIComponent(target)}/audit`;
  const button = (label: string, to: string, body: object, confirm?: string): Html =>
    html`<form
      data-method="POST"
      data-path="${to}"
      data-body="${JSON.stringify(body)}"
      data-done="A dispatcher runs it."
      ${confirm !== undefined && html` data-confirm="${confirm}"`}
    >
      <button>${label}</button>
    </form>`;
  if (audit?.state === 'running') return html`<div class="buttons">${button('Stop', `${path}/stop`, {})}</div>`;
  const studies = all.filter(({ missingCount, differentCount }) => missingCount + differentCount > 0);
  const instances = studies.reduce((sum, one) => sum + one.missingCount + one.differentCount, 0);
  return html`<div class="buttons">
    ${button('Audit', path, {})} ${button('Audit with content', path, { content: true })}
    ${
      instances > 0 &&
      button(
        'Send missing instances',
        `${path}/send`,
        {},
        `Take ${number(instances)} instances of ${number(studies.length)} studies out of the ledger of ${target} and send them again, where a second look finds the same? A target may keep its own version of a different instance, though it confirms the new one: audit it again afterwards.`,
      )
    }
  </div>`;
}

function findings({ audit, gaps, findings: all }: AuditedTarget): Html {
  if (all.length === 0) {
    if (!audit) return html``;
    return gaps.length === 0
      ? empty('Complete', 'The target has everything that it has confirmed.')
      : empty('No findings', `Instances may still be missing at the target. ${gaps.join(' ')}`);
  }
  return html`<h2>Findings</h2>
    ${gaps.length > 0 && html`<p class="muted">There may be more. ${gaps.join(' ')}</p>`}
    ${table(
      'Findings',
      ['Study', 'Missing', 'Different', 'Extra', 'Found'],
      all.slice(0, maxStudies).map(
        (one) =>
          html`<tr>
            <th scope="row">
              <a href="/studies/${encodeURIComponent(one.source)}/${encodeURIComponent(one.orthancStudyId)}"
                >${one.studyInstanceUid}</a
              ><span class="second">${one.source}</span>
            </th>
            <td>${names(one.missing, one.missingCount)}</td>
            <td>${names(one.different, one.differentCount)}${differences(one)}</td>
            <td>${names(one.extra, one.extraCount)}</td>
            <td class="nowrap">${time(one.at)}</td>
          </tr>`,
      ),
    )}
    ${all.length > maxStudies && html`<p class="muted">and ${number(all.length - maxStudies)} studies more</p>`}`;
}

/** Each difference once, with the number of instances that have it. */
function differences({ details = {} }: AuditedTarget['findings'][number]): Html {
  const all = Object.entries(Object.groupBy(Object.values(details), (detail) => detail));
  return html`${all
    .slice(0, maxDifferences)
    .map(([detail, some = []]) => html`<span class="second">${number(some.length)}: ${detail}</span>`)}`;
}

function names(some: readonly string[], count: number): Html {
  if (count === 0) return html`<span class="none">–</span>`;
  const shown = some.slice(0, maxNames);
  return html`${number(count)}<span class="second"
      >${shown.join(' ')}${count > shown.length ? ` and ${number(count - shown.length)} more` : ''}</span
    >`;
}

function history({ history: all }: AuditedTarget): Html {
  if (all.length === 0) return html``;
  return html`<h2>Former audits</h2>
    ${table(
      'Former audits',
      [
        'Begun',
        'By',
        'State',
        right('Studies'),
        right('Instances'),
        right('Missing'),
        right('Different'),
        right('Extra'),
      ],
      all.slice(0, 30).map(
        ({ startedAt, by, state: end, counts }) =>
          html`<tr>
            <th scope="row">${time(startedAt, 'at')}</th>
            <td>${by}</td>
            <td>${end}</td>
            <td class="num right">${number(counts.studies)}</td>
            <td class="num right">${number(counts.instances)}</td>
            <td class="num right">${number(counts.missing)}</td>
            <td class="num right">${number(counts.different)}</td>
            <td class="num right">${number(counts.extra)}</td>
          </tr>`,
      ),
    )}`;
}
