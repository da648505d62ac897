import { isTrouble, type HealthFinding } from '@dicom-dispatch/operations';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { number, time } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';

/** The front page: one line for each finding that needs an operator, most severe first. */
export function addHealthPage(server: ApiServer, context: ConsoleContext): void {
  server.get('/', { config: { access: 'viewer' } }, async (request, reply) => {
    const [findings, latest] = await Promise.all([context.health(), readLatest(context)]);
    const trouble = findings.filter(isTrouble);
    const known = findings.filter((one) => !isTrouble(one));
    const body = html`<div id="health" data-part>
      <div class="title-row">
        <h1>
          ${trouble.length === 0 ? 'No findings' : `${number(trouble.length)} ${trouble.length === 1 ? 'finding needs' : 'findings need'} action`}
        </h1>
        <span class="sub">
          Last arrival ${latest.arrival === undefined ? 'none yet' : time(latest.arrival)} · last delivery
          ${latest.delivery === undefined ? 'none yet' : time(latest.delivery)}
        </span>
      </div>
      ${
        trouble.length === 0
          ? html`<p class="note good">
              All ${known.some(({ kind }) => kind === 'source-off') && 'enabled '}sources are followed, all targets are
              available, and no delivery has failed or waited too long.
            </p>`
          : list('Findings that need action', trouble)
      }
      ${
        known.length > 0 &&
        html`<h2>To know</h2>
          ${list('To know', known)}`
      }
      <p class="buttons">
        <a class="button" href="/studies">Studies</a>
        <a class="button" href="/deliveries">Deliveries</a>
        <a class="button" href="/notifications">Notifications</a>
        <a class="button" href="/targets">Targets</a>
        <a class="button" href="/sources">Sources</a>
      </p>
    </div>`;
    return sendPage(context, request, reply, { id: 'health', title: 'Health', body, live: true });
  });
}

const signs = {
  critical: ['bad', '✕', 'critical'],
  warning: ['warn', '⚠', 'warning'],
  info: ['', 'ℹ', 'to know'],
} as const;

function list(caption: string, findings: readonly HealthFinding[]): Html {
  return html`<ul class="findings" aria-label="${caption}">
    ${findings.map((one) => {
      const [kind, sign, text] = signs[one.severity];
      return html`<li data-key="${one.kind} ${one.subject}" data-kind="${one.kind}" class="note ${kind}">
        <p>
          <span class="chip ${kind}"><span aria-hidden="true">${sign}</span> ${text}</span>
          <a href="${one.path}">${one.words}</a>
          ${one.since !== undefined && html`<span class="muted">since ${time(one.since)}</span>`}
        </p>
        <p class="second">${one.remedy}</p>
      </li>`;
    })}
  </ul>`;
}

/** When a study was routed last, and a delivery succeeded last (ms since 1970). */
async function readLatest({
  operations: { records },
}: ConsoleContext): Promise<{ readonly arrival: number | undefined; readonly delivery: number | undefined }> {
  const [studies, deliveries] = await Promise.all([
    records.studies({ limit: 1 }),
    records.deliveries({ state: 'delivered', limit: 1 }),
  ]);
  const [delivery] = deliveries.records;
  return { arrival: studies.records[0]?.routedAt, delivery: delivery && (delivery.endedAt ?? delivery.updatedAt) };
}
