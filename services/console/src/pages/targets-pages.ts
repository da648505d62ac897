import { readThroughput } from '@dicom-dispatch/operations';
import { z } from 'zod';
import type { ApiServer } from '../api/api-server.ts';
import type { ConsoleContext } from '../console-context.ts';
import { isAllowed, type Identity } from '../security/identity.ts';
import type { Target, TargetDetail, Throughput } from '../views/schemas.ts';
import { listTargets, showTarget } from '../views/show-system.ts';
import { actionButton, empty, number, optional, right, select, table, time, withQuery } from './components.ts';
import { html, type Html } from './html.ts';
import { sendPage } from './layout/page.ts';
import { smallPlot } from './plot.ts';
import { endText, rateText, targetNumbers } from './target-numbers.ts';

export function addTargetsPages(server: ApiServer, context: ConsoleContext): void {
  server.get('/targets', { config: { access: 'viewer' } }, async (request, reply) => {
    const targets = await listTargets(context);
    const hours = await Promise.all(targets.map(({ name }) => readThroughput(context.operations, name, 60, 2)));
    const body = html`<div class="title-row"><h1>Targets</h1></div>
      <div id="list" data-part>
        ${
          targets.length === 0
            ? empty('No target', 'The configuration has no target.')
            : table(
                'Targets',
                [
                  'Target',
                  'State',
                  right('Waiting'),
                  { label: 'Sending', className: 'right opt' },
                  right('Failed'),
                  right('Partial'),
                  'Oldest ready delivery',
                  optional('Last hour'),
                  '',
                ],
                targets.map((target, index) => row(target, hours[index] ?? [], request.identity)),
              )
        }
      </div>`;
    return sendPage(context, request, reply, { id: 'targets', title: 'Targets', body, live: true });
  });

  server.get(
    '/targets/:target',
    { config: { access: 'viewer' }, schema: { params: z.object({ target: z.string().max(64) }) } },
    async (request, reply) => {
      const target = await showTarget(context, request.params.target);
      const body = html`<div id="target" data-part>${details(target)}</div>
        <div id="moved" data-part>${moved(target, request.identity)}</div>
        <div id="numbers" data-part>${targetNumbers(target)}</div>
        ${target.orphaned ? decision(target, Object.keys(context.config().targets), request.identity) : controls(target, request.identity)}
        <div id="errors" data-part>${errors(target, request.identity)}</div>`;
      return sendPage(context, request, reply, { id: 'targets', title: target.name, body, live: true });
    },
  );
}

export function targetChips(target: Target): Html {
  const { circuit } = target;
  if (target.orphaned) {
    return html`<span class="chips"><span class="chip bad">✕ orphaned</span></span>`;
  }
  return html`<span class="chips">
    ${target.moved && html`<span class="chip bad">⚠ moved</span>`}
    ${!target.enabled && html`<span class="chip warn">⊘ disabled</span>`}
    ${target.paused && html`<span class="chip warn">‖ paused</span>`}
    ${circuit.state === 'open' && html`<span class="chip bad">✕ cannot be reached</span>`}
    ${circuit.state === 'probing' && html`<span class="chip busy">▶ being tried</span>`}
    ${target.pace.isSlow && html`<span class="chip warn">⚠ slower than usual</span>`}
    ${target.enabled && !target.paused && !target.moved && circuit.state === 'closed' && html`<span class="chip good">✓ in use</span>`}
  </span>`;
}

function row(target: Target, hour: Throughput, identity: Identity | undefined): Html {
  const path = `/targets/${encodeURIComponent(target.name)}`;
  const { counts, circuit } = target;
  return html`<tr data-key="${target.name}">
    <th scope="row">
      <a href="${path}">${target.name}</a
      ><span class="second">${[target.type, target.description].filter(Boolean).join(' · ')}</span>
    </th>
    <td>${targetChips(target)}${circuit.error && html`<span class="second">${circuit.error.message}</span>`}</td>
    <td class="num right">${countLink(target, 'waiting', counts.waiting)}</td>
    <td class="num right opt">${countLink(target, 'active', counts.active)}</td>
    <td class="num right">${countLink(target, 'failed', counts.failed)}</td>
    <td class="num right">${countLink(target, 'partial', counts.partial)}</td>
    <td class="nowrap">${time(target.oldestWaitingAt)}</td>
    <td class="opt">
      ${smallPlot(`${target.name}, last hour`, hour)}
      ${counts.waiting + counts.active > 0 && html`<span class="second">${rateText(target)} ${endText(target)}</span>`}
    </td>
    <td>${buttons(target, identity)}</td>
  </tr>`;
}

function countLink(target: Target, state: string, count: number): Html {
  if (count === 0) return html`<span class="none">0</span>`;
  return html`<a
    href="${withQuery('/deliveries', { target: target.name, state })}"
    aria-label="${number(count)} ${state} at ${target.name}"
    >${number(count)}</a
  >`;
}

function buttons(target: Target, identity: Identity | undefined): Html {
  if (target.orphaned || !identity || !isAllowed(identity.role, 'operator')) return html``;
  const path = `/api/targets/${encodeURIComponent(target.name)}`;
  const about = target.name;
  return html`<span class="buttons">
    ${
      target.paused
        ? actionButton({ label: 'Resume', method: 'POST', path: `${path}/resume`, kind: 'primary', about })
        : actionButton({ label: 'Pause', method: 'POST', path: `${path}/pause`, about })
    }
  </span>`;
}

function details(target: TargetDetail): Html {
  const { circuit, counts } = target;
  return html`<div class="title-row">
      <h1>${target.name}</h1>
      <span class="sub">${[target.place, target.description].filter(Boolean).join(' · ')}</span>
      ${targetChips(target)}
      ${!target.orphaned && html`<a href="/targets/${encodeURIComponent(target.name)}/audit">Audit</a>`}
    </div>
    ${
      circuit.state !== 'closed' &&
      html`<div class="note bad">
        <p><b>It cannot be reached</b> since ${time(circuit.openedAt, 'at')}: ${circuit.error?.message}</p>
        <p>
          ${circuit.error?.remedy} Tried ${number(circuit.failures)} ${circuit.failures === 1 ? 'time' : 'times'}; the
          next try is ${time(circuit.nextProbeAt)}. Deliveries wait and consume no attempt.
        </p>
      </div>`
    }
    <ul class="facts">
      ${fact(target, 'waiting', counts.waiting, 'waiting')} ${fact(target, 'active', counts.active, 'sending now')}
      ${fact(target, 'failed', counts.failed, 'failed', counts.failed > 0 ? 'bad' : '')}
      ${fact(target, 'partial', counts.partial, 'partial', counts.partial > 0 ? 'warn' : '')}
      ${fact(target, 'delivered', counts.delivered, 'delivered')}
      <li>
        <span class="fact"
          ><span class="value">${time(target.oldestWaitingAt)}</span
          ><span class="name">oldest ready delivery</span></span
        >
      </li>
    </ul>`;
}

function fact(target: Target, state: string, count: number, name: string, kind = ''): Html {
  return html`<li>
    <a class="${kind}" href="${withQuery('/deliveries', { target: target.name, state })}"
      ><span class="value">${number(count)}</span><span class="name">${name}</span></a
    >
  </li>`;
}

/** Buttons for the decision on a target that has a new address. */
function moved(target: TargetDetail, identity: Identity | undefined): Html {
  if (!target.moved) return html``;
  const path = `/api/targets/${encodeURIComponent(target.name)}/place`;
  return html`<div class="note bad">
      <p>
        <b>This target has another address.</b> It was ${target.moved.was} and is now ${target.place}. Its deliveries
        wait until somebody decides whether the content is the same.
      </p>
    </div>
    ${
      identity &&
      isAllowed(identity.role, 'administrator') &&
      html`<h2>Decide</h2>
        <div class="cards">
          <form
            class="card"
            data-method="POST"
            data-path="${path}"
            data-body="${JSON.stringify({ decision: 'same' })}"
            data-done="The ledger is kept."
            data-confirm="Everything that ${target.name} has confirmed is at ${target.place}?"
          >
            <h3>Same content</h3>
            <p class="muted">
              Instances that were confirmed at the previous address stay confirmed, and are not sent again.
            </p>
            <div class="buttons"><button>Same content</button></div>
          </form>
          <form
            class="card"
            data-method="POST"
            data-path="${path}"
            data-body="${JSON.stringify({ decision: 'new' })}"
            data-done="A new ledger is started."
            data-confirm="Start a new ledger for ${target.name}?"
          >
            <h3>Another place</h3>
            <p class="muted">
              No instance is confirmed here yet. The ledger of the previous address is kept, and is used again if the
              target returns to it.
            </p>
            <div class="buttons"><button>Another place</button></div>
          </form>
        </div>`
    }`;
}

/** Actions of an operator for deliveries whose target was removed from the configuration. */
function decision(target: TargetDetail, others: readonly string[], identity: Identity | undefined): Html {
  const path = `/api/targets/${encodeURIComponent(target.name)}`;
  const count = number(target.counts.waiting + target.counts.active);
  return html`<div class="note bad">
      <p>
        <b>This target was removed from the configuration.</b> Deliveries that wait for it: ${count}. They are kept
        until somebody moves or drops them, or the target is added again.
      </p>
    </div>
    ${
      identity &&
      isAllowed(identity.role, 'operator') &&
      html`<h2>Decide</h2>
        <div class="cards">
          <section class="card">
            <h3>Move</h3>
            <p class="muted">Another target receives the waiting deliveries. Their transforms stay the same.</p>
            <form data-method="POST" data-path="${path}/move" class="filter">
              ${select(
                'to',
                'To',
                others.map((name) => [name, name] as const),
              )}
              <button>Move all</button>
            </form>
          </section>
          <section class="card">
            <h3>Drop</h3>
            <p class="muted">The waiting deliveries are cancelled. The confirmations of the target are kept.</p>
            <div class="buttons">
              ${actionButton({ label: 'Drop all', method: 'POST', path: `${path}/drop`, kind: 'danger', confirm: `Cancel ${count} deliveries to ${target.name}?` })}
            </div>
          </section>
        </div>`
    }`;
}

function controls(target: TargetDetail, identity: Identity | undefined): Html {
  if (!identity || !isAllowed(identity.role, 'operator')) return html``;
  const path = `/api/targets/${encodeURIComponent(target.name)}`;
  return html`<h2>Control</h2>
    <div class="cards">
      <section class="card">
        <h3>Connection</h3>
        <p class="muted">Tests connection, login and permissions without sending a study.</p>
        <div class="buttons">
          <button type="button" class="primary" data-method="POST" data-path="${path}/test" data-test="test-result">
            Test connection
          </button>
        </div>
        <div id="test-result" aria-live="polite"></div>
      </section>
      <section class="card" id="flow" data-part>
        <h3>Flow</h3>
        <p class="muted">
          During a pause running deliveries finish and no further delivery starts. Deliveries that wait for their next
          attempt can be retried at once.
        </p>
        <div class="buttons">
          ${buttons(target, identity)}
          ${actionButton({ label: 'Try all waiting now', method: 'POST', path: `${path}/promote` })}
        </div>
      </section>
      <section class="card">
        <h3>Limits</h3>
        <p class="muted">
          Limits apply at once, over all dispatchers. The next reload of the configuration resets them.
          ${setByOperator(target)}
        </p>
        <div class="split">
          <form data-method="PUT" data-path="${path}/concurrency" data-done="Limit set." class="filter">
            <label class="field"
              ><span>In parallel</span
              ><input type="number" name="concurrency" min="1" max="256" required value="${target.concurrency}"
            /></label>
            <button>Set</button>
          </form>
          <form data-method="PUT" data-path="${path}/rate" data-done="Rate set." class="filter">
            <label class="field"
              ><span>Deliveries per minute</span
              ><input
                type="number"
                name="deliveriesPerMinute"
                min="1"
                placeholder="no limit"
                value="${target.deliveriesPerMinute}"
            /></label>
            <button>Set</button>
          </form>
        </div>
      </section>
    </div>`;
}

function setByOperator({ setLimits: { concurrency, deliveriesPerMinute } }: TargetDetail): string {
  const parts = [
    concurrency !== undefined && `${concurrency} in parallel`,
    deliveriesPerMinute !== undefined && `${deliveriesPerMinute ?? 'any number of'} deliveries per minute`,
  ].filter(Boolean);
  return parts.length > 0 ? `Set by an operator: ${parts.join(', ')}.` : '';
}

function errors(target: TargetDetail, identity: Identity | undefined): Html {
  const canAct = identity !== undefined && isAllowed(identity.role, 'operator');
  return html`<h2>Errors</h2>
    ${
      target.errors.length === 0
        ? empty('No errors', 'No failed, partial or waiting delivery has an error.')
        : table(
            'Errors by stage and code',
            ['Stage', 'Code', right('Deliveries'), 'The latest', ''],
            target.errors.map((one) => {
              const meant = { target: target.name, stage: one.stage, code: one.code };
              return html`<tr>
                <th scope="row">${one.stage}</th>
                <td><code>${one.code}</code></td>
                <td class="num right"><a href="${withQuery('/deliveries', meant)}">${number(one.count)}</a></td>
                <td class="wide">${one.example}</td>
                <td>
                  ${canAct && html`<button type="button" data-bulk="retry" data-filter="${JSON.stringify(meant)}" aria-label="Retry these … (in ${one.stage}, ${one.code})">Retry these …</button>`}
                </td>
              </tr>`;
            }),
          )
    }`;
}
