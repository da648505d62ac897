import type { LookedAtPriorView, PriorsOfStudy, StudyDetail } from '../views/schemas.ts';
import { dicomDate, number, stateChip, studyPath, table, time, withCode } from './components.ts';
import { html, type Html } from './html.ts';

/** The earlier studies of the patient that are sent with a study, and those that are not. */
export function priorsSection({ source, priors }: StudyDetail): Html {
  if (priors.length === 0) return html``;
  return html`<h2>Earlier studies of the patient</h2>
    ${priors.map((one) => {
      const kind = one.isLate || (one.note !== undefined && one.state !== 'done') ? 'warn' : '';
      return html`<section class="card" aria-label="Earlier studies to ${one.target}">
        <p class="note ${kind}">${words(one)}</p>
        ${
          one.chosen.length > 0 &&
          table(
            `To ${one.target}`,
            ['Study', 'From', 'Why', 'State'],
            one.chosen.map(
              (prior) =>
                html`<tr>
                  <th scope="row">${studyLink(source, prior)}</th>
                  <td>${prior.from}</td>
                  <td>${withCode(prior.why)}</td>
                  <td>${stateOf(prior)}</td>
                </tr>`,
            ),
          )
        }
        ${
          one.leftCount > 0 &&
          html`<details id="priors-left-${one.target}">
            <summary>${number(one.leftCount)} not chosen</summary>
            ${table(
              `Not chosen for ${one.target}`,
              ['Study', 'From', 'Why not'],
              one.left.map(
                (prior) =>
                  html`<tr>
                    <th scope="row">${studyLink(source, prior)}</th>
                    <td>${prior.from}</td>
                    <td>${withCode(prior.why)}</td>
                  </tr>`,
              ),
            )}
            ${one.leftCount > one.left.length && html`<p class="muted">The first ${number(one.left.length)} are shown.</p>`}
          </details>`
        }
      </section>`;
    })}`;
}

function words({ target, state, chosen, waitUntil, isLate, note, nextAttemptAt }: PriorsOfStudy): Html {
  const because = note === undefined ? '' : `: ${note}`;
  const next = nextAttemptAt === undefined ? html`.` : html`; the next try is ${time(nextAttemptAt)}.`;
  const until =
    waitUntil === undefined ? html`` : html` The study waits for them until ${time(waitUntil, 'at')} at the latest.`;
  if (state === 'looking') return html`<b>${target}</b>: still to be chosen${because}${next}${until}`;
  if (state === 'sending')
    return html`<b>${target}</b>: ${number(chosen.length)} chosen, in progress${because}${next}${until}`;
  if (chosen.length === 0) return html`<b>${target}</b>: none${because}.`;
  const late = isLate ? ' The study was sent before all of them had arrived.' : '';
  return html`<b>${target}</b>: ${number(chosen.length)} chosen${because}.${late}`;
}

function studyLink(
  source: string,
  { orthancStudyId, studyInstanceUid, description, studyDate }: LookedAtPriorView,
): Html {
  const text = [dicomDate(studyDate ?? ''), description].filter(Boolean).join(' · ') || studyInstanceUid;
  if (orthancStudyId === undefined) return html`<span class="uid">${text}</span>`;
  return html`<a href="${studyPath({ source, orthancStudyId })}">${text}</a>`;
}

function stateOf({ state, deliveryId, deliveryState, note }: PriorsOfStudy['chosen'][number]): Html {
  if (state === 'omitted') return html`not sent: ${note ?? ''}`;
  if (state === 'chosen') return html`still to be sent${note !== undefined && html`: ${note}`}`;
  if (deliveryId === undefined || deliveryState === undefined) return html`sent`;
  return html`<a href="/deliveries/${deliveryId}">${stateChip({ state: deliveryState, held: false })}</a
    >${state === 'there' && html` already at the target`}`;
}
