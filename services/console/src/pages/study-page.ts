import { z } from 'zod';
import type { ConsoleContext } from '../console-context.ts';
import type { ApiServer } from '../api/api-server.ts';
import { isAllowed, type Identity } from '../security/identity.ts';
import type { DeliveryDetail, StudyDetail } from '../views/schemas.ts';
import { showStudy } from '../views/show-study.ts';
import {
  actionButton,
  dicomDate,
  empty,
  number,
  outcomeChip,
  studyPath,
  table,
  targetChip,
  time,
  withCode,
  withQuery,
} from './components.ts';
import { deliveryFacts, deliveryHead, timeline } from './delivery-parts.ts';
import { html, type Html } from './html.ts';
import { priorsSection } from './priors-section.ts';
import { sendPage } from './layout/page.ts';

/** One study: its state, why it has not arrived, and possible actions. */
export function addStudyPage(server: ApiServer, context: ConsoleContext): void {
  server.get(
    '/studies/:source/:study',
    {
      config: { access: 'viewer' },
      schema: { params: z.object({ source: z.string(), study: z.string().max(64) }) },
    },
    async (request, reply) => {
      const study = await showStudy(context, request.params.source, request.params.study);
      const { identity } = request;
      const latest = latestByTarget(study.deliveries);
      const earlier = study.deliveries.filter((one) => !latest.includes(one));
      const body = html`<div id="study" data-part>
          <div class="title-row">
            <h1>${study.label?.patientName || 'Study'}</h1>
            <span class="sub"
              >${[study.label?.description, study.modalities.join(', '), dicomDate(study.label?.studyDate ?? '')].filter(Boolean).join(' · ')}</span
            >
          </div>
          <p class="chips">${latest.map((one) => targetChip(one))}</p>
          <div class="card split">
            ${thumbnail(context, study)}
            <div class="grow">${facts(study)}</div>
          </div>
          ${study.inSource === 'no' && html`<p class="note warn">The study is no longer in ${study.source}: missing instances can no longer be sent, unless the study returns.</p>`}
          ${study.inSource === 'unknown' && html`<p class="note warn">${study.source} does not respond; the data below is from the records of dicom-dispatch.</p>`}
          ${study.pulled && html`<p class="note">It was pulled into ${study.source} as an earlier study of its patient: rules route it only if more instances arrive.</p>`}
          <div class="title-row">
            <h2>Deliveries</h2>
            ${study.deliveries.filter(({ state }) => state === 'waiting').length > 1 && isAllowed(identity?.role ?? 'viewer', 'operator') && actionButton({ label: 'Send all first', method: 'POST', path: `/api${studyPath(study)}/first` })}
          </div>
          ${latest.length === 0 ? empty('Not routed', study.routed ? 'No rule matched when it was routed.' : 'It is in the source, but was never routed.') : latest.map((one) => deliveryCard(one, identity, study.label))}
          ${
            earlier.length > 0 &&
            html`<details id="earlier">
              <summary>${number(earlier.length)} earlier ${earlier.length === 1 ? 'delivery' : 'deliveries'}</summary>
              ${earlier.map((one) => deliveryCard(one, identity, study.label))}
            </details>`
          }
          ${priorsSection(study)} ${afterSuccess(study, identity)}
          <h2>Rules</h2>
          ${rules(study)}
        </div>
        ${actions(context, study, identity)}`;
      return sendPage(context, request, reply, {
        id: 'studies',
        title: study.label?.patientName || 'Study',
        body,
        live: true,
      });
    },
  );
}

/** The latest delivery to each target. The given deliveries are sorted, newest first. */
function latestByTarget(deliveries: readonly DeliveryDetail[]): DeliveryDetail[] {
  const seen = new Set<string>();
  return deliveries.filter(({ target }) => !seen.has(target) && seen.add(target));
}

function thumbnail(context: ConsoleContext, study: StudyDetail): Html {
  const { thumbnails, patientData } = context.config().console;
  if (!thumbnails || !patientData) return html``;
  if (study.inSource !== 'yes' || !study.routed) return html`<div class="thumb">no image</div>`;
  const path = `/api/studies/${encodeURIComponent(study.source)}/${encodeURIComponent(study.orthancStudyId)}/thumbnail`;
  return html`<div class="thumb"><img src="${path}" alt="A sample image of the study" loading="lazy" /></div>`;
}

function facts(study: StudyDetail): Html {
  const { label } = study;
  return html`<dl class="pairs">
    ${
      label &&
      html`<dt>Patient id</dt>
        <dd>${label.patientId || '–'}</dd>
        <dt>Accession number</dt>
        <dd>${label.accessionNumber || '–'}</dd>`
    }
    <dt>Source</dt>
    <dd><a href="/sources">${study.source}</a></dd>
    <dt>Instances</dt>
    <dd>${study.instanceCount === undefined ? '–' : number(study.instanceCount)}</dd>
    <dt>Routed</dt>
    <dd>${study.routedAt === undefined ? 'never' : html`${time(study.routedAt, 'at')} (${time(study.routedAt)})`}</dd>
    <dt>Study Instance UID</dt>
    <dd class="uid">${study.studyInstanceUid}</dd>
    <dt>Orthanc id</dt>
    <dd class="uid">${study.orthancStudyId}</dd>
  </dl>`;
}

function deliveryCard(delivery: DeliveryDetail, identity: Identity | undefined, label: StudyDetail['label']): Html {
  const id = `timeline-${delivery.deliveryId}`;
  return html`<section class="card" aria-label="Delivery to ${delivery.target}">
    ${deliveryHead(delivery, identity, 3, label)} ${deliveryFacts(delivery)}
    <details id="${id}" ${delivery.state !== 'delivered' && html` open`}>
      <summary>
        Timeline, ${number(delivery.events.length + 1)} ${delivery.events.length === 0 ? 'entry' : 'entries'}
      </summary>
      ${timeline(delivery)}
    </details>
    <p>
      <a href="/deliveries/${delivery.deliveryId}">Instances and log of this delivery</a> ·
      <a href="${withQuery(`${studyPath(delivery)}/receipt`, { target: delivery.target })}"
        >Receipt of ${delivery.target}</a
      >
    </p>
  </section>`;
}

/** Actions of the rules in the source after all deliveries have succeeded, and their progress. */
function afterSuccess(study: StudyDetail, identity: Identity | undefined): Html {
  if (study.afterSuccess.length === 0) return html``;
  const canAct = identity !== undefined && isAllowed(identity.role, 'operator');
  return html`<h2>After success</h2>
    ${study.afterSuccess.map((step) => {
      const { state, wanted, attempts, nextAttemptAt, error, done, left } = step;
      const kind = state === 'done' ? (left.length > 0 ? 'warn' : 'good') : error ? 'bad' : '';
      const path = `/api${studyPath(study)}/after-success`;
      return html`<section class="card" aria-label="After success">
        <p class="note ${kind}">
          ${state === 'waiting' && html`When all deliveries have succeeded, in ${study.source}: ${wanted.join(', ')}.`}
          ${
            state === 'due' &&
            html`Not done yet in ${study.source}: ${wanted.join(', ')}. Tried ${number(attempts)}
            ${attempts === 1 ? 'time' : 'times'}${nextAttemptAt !== undefined && html`; the next try is ${time(nextAttemptAt)}`}.`
          }
          ${state === 'done' && html`Done in ${study.source}: ${done.join(', ') || 'nothing'}.`}
        </p>
        ${left.length > 0 && html`<p class="note warn">Not done: ${left.join('; ')}.</p>`}
        ${error && html`<p><b>${error.code}</b>: ${error.message} <span class="muted">${error.remedy}</span></p>`}
        ${canAct && state === 'due' && actionButton({ label: 'Try now', method: 'POST', path, kind: 'primary', about: 'the actions after success' })}
      </section>`;
    })}`;
}

function rules(study: StudyDetail): Html {
  if (study.verdicts.length === 0) {
    return study.inSource === 'yes'
      ? empty('No rules', 'The configuration has no rules.')
      : html`<p class="muted">Matched when it was routed: ${study.rules.join(', ') || 'none'}.</p>`;
  }
  return html`${study.omitted.map(({ target, why }) => html`<p class="note warn">Not sent to <b>${target}</b>: ${why}.</p>`)}
  ${table(
    'Result of the current rules for this study',
    ['Rule', 'Now', 'When routed', 'Why', 'Targets'],
    study.verdicts.map(
      (one) =>
        html`<tr>
          <th scope="row">${one.rule}</th>
          <td>${outcomeChip(one.outcome)}</td>
          <td>${study.rules.includes(one.rule) ? 'matched' : html`<span class="none">–</span>`}</td>
          <td>${withCode(one.because)}</td>
          <td>${one.targets.join(', ')}</td>
        </tr>`,
    ),
  )}`;
}

function actions(context: ConsoleContext, study: StudyDetail, identity: Identity | undefined): Html {
  if (!identity || !isAllowed(identity.role, 'operator') || study.inSource === 'no') return html``;
  const body = JSON.stringify({ source: study.source, orthancStudyId: study.orthancStudyId });
  const { targets: configured, groups } = context.config();
  const targets = [...Object.keys(configured), ...Object.keys(groups ?? {})];
  return html`<h2>Send again</h2>
    <div class="cards">
      <form
        class="card"
        data-method="POST"
        data-path="/api/route"
        data-body="${body}"
        data-preview="/api/route/preview"
        data-confirm="Route ${study.label?.patientName || 'this study'}${study.label?.accessionNumber && ` (accession ${study.label.accessionNumber})`} again, by the current rules?"
      >
        <h3>By the rules</h3>
        <p class="muted">
          Every target that the current rules select receives the instances that it has not confirmed.
        </p>
        <label class="field check"><input type="checkbox" name="everything" /> resend confirmed instances</label>
        <label class="field check"><input type="checkbox" name="first" /> before all others</label>
        <div class="buttons"><button>Route again</button></div>
      </form>
      <form
        class="card"
        data-method="POST"
        data-path="/api/route"
        data-body="${body}"
        data-preview="/api/route/preview"
      >
        <h3>To one target</h3>
        <p class="muted">Regardless of the rules.</p>
        <div class="split">
          <label class="field"
            ><span>Target</span
            ><select name="targets" data-list>
              ${targets.map((name) => html`<option>${name}</option>`)}
            </select></label
          >
          <label class="field check"><input type="checkbox" name="everything" /> resend confirmed instances</label>
          <label class="field check"><input type="checkbox" name="first" /> before all others</label>
        </div>
        <div class="buttons"><button>Send</button></div>
      </form>
    </div>`;
}
