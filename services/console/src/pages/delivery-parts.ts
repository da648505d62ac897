import { unresolvedStates } from '@dicom-dispatch/state/records';
import type { Identity } from '../security/identity.ts';
import type { StudyLabel } from '../source/source-lookup.ts';
import { isAllowed } from '../security/identity.ts';
import type { Delivery, DeliveryDetail } from '../views/schemas.ts';
import { actionButton, bytes, number, progress, stateChip, time } from './components.ts';
import { html, type Html } from './html.ts';

/** The useful buttons for a delivery in its state, for users with the permission. */
export function deliveryButtons(delivery: Delivery, identity: Identity | undefined, label?: Label): Html {
  if (!identity || !isAllowed(identity.role, 'operator')) return html``;
  const path = `/api/deliveries/${delivery.deliveryId}`;
  const about = `the delivery to ${delivery.target}`;
  const { state, held } = delivery;
  const named = label ? namedBy(label, delivery.target) : about;
  const hasEnded = state !== 'waiting' && state !== 'active';
  return html`<span class="buttons">
    ${isUnresolved(state) && actionButton({ label: 'Resolve …', method: 'POST', path: `${path}/resolve`, about, reason: `Why does ${named} need no further action?` })}
    ${state === 'resolved' && actionButton({ label: 'Reopen', method: 'POST', path: `${path}/reopen`, about })}
    ${hasEnded && state !== 'delivered' && actionButton({ label: state === 'cancelled' ? 'Resume' : 'Retry', method: 'POST', path: `${path}/retry`, kind: 'primary', about })}
    ${state === 'waiting' && !held && actionButton({ label: 'Try now', method: 'POST', path: `${path}/retry`, about })}
    ${state === 'waiting' && actionButton({ label: 'Send first', method: 'POST', path: `${path}/first`, about })}
    ${state === 'waiting' && !held && actionButton({ label: 'Hold', method: 'POST', path: `${path}/hold`, about })}
    ${held && actionButton({ label: 'Release', method: 'POST', path: `${path}/release`, kind: 'primary', about })}
    ${!hasEnded && actionButton({ label: 'Cancel', method: 'POST', path: `${path}/cancel`, kind: 'danger', about, confirm: `Cancel ${named}? The ${number(delivery.confirmed)} of ${number(delivery.total)} instances that have arrived there stay there. It can be resumed.` })}
  </span>`;
}

type Label = Pick<StudyLabel, 'patientName' | 'accessionNumber'>;

/** Names a delivery by patient, accession number and target; a label is only available if patient data may be shown. */
function namedBy({ patientName, accessionNumber }: Label, target: string): string {
  const accession = accessionNumber === '' ? '' : ` (accession ${accessionNumber})`;
  return `the delivery of ${patientName || 'a study'}${accession} to ${target}`;
}

function isUnresolved(state: Delivery['state']): boolean {
  return unresolvedStates.some((one) => one === state);
}

/** Data of one delivery, without its timeline. */
export function deliveryFacts(delivery: DeliveryDetail): Html {
  const { error, state } = delivery;
  const isBad = state === 'failed' || state === 'source-gone';
  const kind = isBad
    ? 'bad'
    : state === 'delivered'
      ? 'good'
      : error || state === 'partial' || delivery.held
        ? 'warn'
        : '';
  return html`<p class="note ${kind}">${delivery.explanation.text}</p>
    ${delivery.notice !== undefined && html`<p class="note warn">${delivery.notice}</p>`}
    <dl class="pairs">
      <dt>Instances</dt>
      <dd>
        ${progress(delivery)}${delivery.quarantined > 0 && html` <span class="chip warn">${number(delivery.quarantined)} quarantined</span>`}
      </dd>
      <dt>Attempts</dt>
      <dd>${number(delivery.attempts)}</dd>
      <dt>Sent</dt>
      <dd>${bytes(delivery.bytesSent)}</dd>
      <dt>Last change</dt>
      <dd>${time(delivery.updatedAt)}</dd>
      ${
        delivery.place !== undefined &&
        html`<dt>Where</dt>
          <dd>${delivery.place}</dd>`
      }
      ${
        delivery.worker !== undefined &&
        html`<dt>Worker</dt>
          <dd>${delivery.worker}</dd>`
      }
      ${
        error &&
        html`<dt>Last error</dt>
          <dd><b>${error.code}</b> in ${error.stage}: ${error.message} <span class="muted">${error.remedy}</span></dd>`
      }
    </dl>`;
}

const eventKinds: Readonly<Record<string, string>> = {
  failed: 'bad',
  quarantined: 'bad',
  noticed: 'bad',
  operator: 'you',
  resolved: 'you',
  started: 'busy',
  stage: 'busy',
};

/** Everything that happened to a delivery, oldest first. */
export function timeline(delivery: DeliveryDetail): Html {
  return html`<ol class="timeline">
    <li>
      ${time(delivery.routedAt, 'at')} routed${delivery.rules.length > 0 && html` by ${delivery.rules.join(', ')}`}
    </li>
    ${delivery.events.map(
      (event) =>
        html`<li
          class="${event.kind === 'ended' ? (delivery.state === 'delivered' ? 'good' : 'bad') : eventKinds[event.kind]}"
        >
          ${time(event.at, 'at')} ${event.stage !== undefined && html`<b>${event.stage}</b> `}${withoutStage(event)}
        </li>`,
    )}
  </ol>`;
}

export function deliveryHead(delivery: Delivery, identity: Identity | undefined, level: 2 | 3, label?: Label): Html {
  const name = html`<a href="/targets/${encodeURIComponent(delivery.target)}">${delivery.target}</a>`;
  return html`<div class="delivery-head">
    ${level === 2 ? html`<h2>${name}</h2>` : html`<h3>${name}</h3>`} ${stateChip(delivery)}
    <span class="muted">${time(delivery.routedAt)}</span>
    ${deliveryButtons(delivery, identity, label)}
  </div>`;
}

/** Texts of ends begin with the stage in brackets, which is already shown. */
function withoutStage({ stage, text }: DeliveryDetail['events'][number]): string {
  return stage !== undefined && text.startsWith(`[${stage}] `) ? text.slice(stage.length + 3) : text;
}
