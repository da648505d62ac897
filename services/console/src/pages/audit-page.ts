import { z } from 'zod';
import type { ApiServer } from '../api/api-server.ts';
import type { AuditEntry } from '../audit/index.ts';
import type { RefusedEvent } from '../audit/refused-events.ts';
import type { ConsoleContext } from '../console-context.ts';
import { empty, table, time, withQuery } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';

const query = z.object({
  before: z
    .string()
    .regex(/^\d{1,16}-\d{1,10}$/)
    .optional(),
});
const pageSize = 100;
const shownRefused = 50;

/** The audit log. */
export function addAuditPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/audit', { config: { access: 'administrator', action: 'read audit log' } }, async (request, reply) => {
    const { before } = query.parse(request.query);
    const entries = await context.audit.read({ limit: pageSize, ...(before !== undefined && { before }) });
    const refused = before === undefined ? await context.refused.read(shownRefused) : [];
    const last = entries.at(-1);
    const body = html`<div class="title-row">
        <h1>Audit log</h1>
        <span class="sub">actions of users and programs, newest first</span>
        <span class="buttons">
          <a class="button" href="/api/audit/export?format=csv" download>Export as CSV</a>
          <a class="button" href="/api/audit/export?format=jsonl" download>Export as JSON lines</a>
        </span>
      </div>
      ${
        entries.length === 0
          ? empty('Nothing yet', 'Each action of a user or program is recorded here.')
          : table(
              'Audit log',
              ['When', 'Who', 'Action', 'What', 'Outcome', 'Detail', 'From'],
              entries.map((one) => row(one)),
            )
      }
      <div class="pager">
        <span></span>
        <span class="buttons">
          ${before !== undefined && html`<a class="button" href="/audit">Newest</a>`}
          ${entries.length === pageSize && last && html`<a class="button" rel="next" href="${withQuery('/audit', { before: last.id })}">Older</a>`}
        </span>
      </div>
      ${refused.length > 0 && refusedTable(refused)}`;
    return sendPage(context, request, reply, { id: 'audit', title: 'Audit log', body });
  });
}

/** Rejections and failed sign-ins, with their numbers. They are not in the audit log. */
function refusedTable(events: readonly RefusedEvent[]): Html {
  return html`<h2>Refused, and sign-ins that failed</h2>
    ${table(
      'Refused',
      ['When', 'Who', 'Action', 'What', 'Outcome', 'Detail', 'From'],
      events.map((one) =>
        row({ ...one, hash: '', detail: one.count > 1 ? `${one.detail} (${one.count} times)` : one.detail }),
      ),
    )}`;
}

function row(entry: AuditEntry): Html {
  const kind = entry.outcome === 'done' ? 'good' : entry.outcome === 'refused' ? 'warn' : 'bad';
  const sign = { done: '✓', refused: '⊘', failed: '✕' }[entry.outcome];
  const subject = /^d-[0-9a-f]{20}$/.test(entry.subject)
    ? html`<a class="uid" href="/deliveries/${entry.subject}">${entry.subject}</a>`
    : html`<span class="uid">${entry.subject}</span>`;
  return html`<tr>
    <td class="nowrap">${time(entry.at, 'at')}</td>
    <th scope="row">${entry.who || html`<span class="none">nobody</span>`}<span class="second">${entry.role}</span></th>
    <td>${entry.action}</td>
    <td>${subject}</td>
    <td>
      <span class="chip ${kind}"><span aria-hidden="true">${sign}</span> ${entry.outcome}</span>
    </td>
    <td>${entry.detail}</td>
    <td class="nowrap">${entry.address}</td>
  </tr>`;
}
