import { formatBytes, formatDuration } from '@dicom-dispatch/core';
import type { Target, TargetDetail } from '../views/schemas.ts';
import { number, right, table, time } from './components.ts';
import { html, type Html } from './html.ts';
import { plot } from './plot.ts';

/** Current rate, expected end of the backlog, duration of each stage, and throughput. */
export function targetNumbers(target: TargetDetail): Html {
  return html`<h2>Now</h2>
    <p class="pace">${rateText(target)} ${endText(target)}</p>
    ${apartText(target)} ${slowerNote(target)}
    <div class="cards">
      <section class="card">
        <h2>Last hour</h2>
        ${plot(target.hour, { id: 'hour', title: 'Last hour', stepMinutes: 1, axis: 'clock', every: 15 })}
      </section>
      <section class="card">
        <h2>Last day</h2>
        ${plot(target.day, { id: 'day', title: 'Last day', stepMinutes: 15, axis: 'clock', every: 16 })}
      </section>
      <section class="card">
        <h2>Last week</h2>
        ${plot(target.week, { id: 'week', title: 'Last week', stepMinutes: 60, axis: 'day', every: 24 })}
      </section>
      <section class="card">
        <h2>Durations</h2>
        ${durations(target)}
      </section>
    </div>`;
}

/** Current rates of deliveries and bytes as text. */
export function rateText({ pace }: Target): Html {
  if (pace.deliveriesPerMinute === 0 && pace.bytesPerSecond === 0)
    return html`No delivery ended in the last ten minutes.`;
  return html`<b>${perMinute(pace.deliveriesPerMinute)}</b> and
    <b>${formatBytes(Math.round(pace.bytesPerSecond))}/s</b> in the last ten minutes.`;
}

/** When the backlog ends, or why this is unknown. */
export function endText(target: Target): Html {
  const { pace, counts } = target;
  const left = pace.ready + counts.active;
  if (left === 0) return html`No delivery is ready to start.`;
  const many = `${number(left)} ${left === 1 ? 'delivery is' : 'deliveries are'} left`;
  const stops = stopsBy(target);
  if (stops !== undefined) return html`${many}; they wait: the target ${stops}.`;
  if (pace.expectedEndAt === undefined) return html`${many}; none has ended in the last ten minutes.`;
  return html`${many}: at this rate they end ${time(pace.expectedEndAt)}.`;
}

function stopsBy(target: Target): string | undefined {
  if (target.orphaned) return 'was removed from the configuration';
  if (!target.enabled) return 'is disabled';
  if (target.moved) return 'has a new address';
  if (target.paused) return 'is paused';
  return target.circuit.state === 'closed' ? undefined : 'cannot be reached';
}

/** Number of waiting deliveries that are not part of the backlog. */
function apartText({ pace: { keptBack } }: Target): Html {
  if (keptBack === 0) return html``;
  return html`<p class="muted">
    Not counted: ${number(keptBack)} that ${keptBack === 1 ? 'is' : 'are'} held, outside the schedule or waiting for a
    person.
  </p>`;
}

export function slowerNote({ durations: { slower, recentSince } }: TargetDetail): Html {
  if (!slower) return html``;
  return html`<p class="note warn">
    Slower than usual: an instance takes ${formatDuration(slower.instanceMs)} since ${time(recentSince, 'at')}, and
    ${formatDuration(slower.usualMs)} in the seven days before today (medians).
  </p>`;
}

const labels: Readonly<Record<string, string>> = {
  attempt: 'whole attempt',
  instance: 'transfer of an instance',
};

function durations({ durations: { parts, recentSince } }: TargetDetail): Html {
  if (parts.length === 0) return html`<p class="plot-none">No delivery arrived in the last seven days.</p>`;
  return html`<p class="muted">
      Of deliveries that arrived, since ${time(recentSince, 'at')}; usual: the seven days before today.
    </p>
    ${table(
      'Durations by stage',
      ['Stage', right('Median'), right('95th percentile')],
      parts.map(
        ({ timed, recent, usual }) =>
          html`<tr>
            <td>${labels[timed] ?? timed}</td>
            <td class="num right">${pair(recent?.medianMs, usual?.medianMs)}</td>
            <td class="num right">${pair(recent?.p95Ms, usual?.p95Ms)}</td>
          </tr>`,
      ),
    )}`;
}

function pair(nowMs: number | undefined, usualMs: number | undefined): Html {
  const recent = nowMs === undefined ? html`<span class="none">–</span>` : html`${formatDuration(nowMs)}`;
  return html`${recent}${usualMs !== undefined && html`<span class="second">usually ${formatDuration(usualMs)}</span>`}`;
}

function perMinute(rate: number): string {
  if (rate >= 10) return `${number(Math.round(rate))} deliveries per minute`;
  return `${rate.toFixed(1)} deliveries per minute`;
}
