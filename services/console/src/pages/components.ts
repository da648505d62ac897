import { formatBytes, formatDuration } from '@dicom-dispatch/core';
import type { SelectableState } from '@dicom-dispatch/state/records';
import type { Delivery } from '../views/schemas.ts';
import { html, type Html } from './html.ts';

/** Texts and signs for the states of deliveries, since a colour alone is not sufficient. */
const states: Readonly<Record<Delivery['state'], { readonly sign: string; readonly text: string }>> = {
  waiting: { sign: '…', text: 'waiting' },
  active: { sign: '▶', text: 'sending' },
  delivered: { sign: '✓', text: 'delivered' },
  partial: { sign: '◐', text: 'partial' },
  failed: { sign: '✕', text: 'failed' },
  'source-gone': { sign: '∅', text: 'source gone' },
  cancelled: { sign: '⊘', text: 'cancelled' },
  moved: { sign: '↷', text: 'moved' },
  resolved: { sign: '☑', text: 'resolved' },
};

export function stateText(state: SelectableState): string {
  return state === 'held' ? 'held' : states[state].text;
}

/** The state of a delivery as a small label. */
export function stateChip(delivery: Pick<Delivery, 'state' | 'held'>): Html {
  if (delivery.held) return html`<span class="chip held"><span aria-hidden="true">‖</span> held</span>`;
  const { sign, text } = states[delivery.state];
  return html`<span class="chip ${delivery.state}"><span aria-hidden="true">${sign}</span> ${text}</span>`;
}

/** A target in a row of the list of studies: its name, and state and progress of the delivery. */
export function targetChip(delivery: Delivery): Html {
  const { sign, text } = states[delivery.state];
  const isUnderWay = delivery.state === 'active' || (delivery.state === 'waiting' && delivery.confirmed > 0);
  const count = isUnderWay || delivery.state === 'partial' ? ` ${delivery.confirmed}/${delivery.total}` : '';
  const label = delivery.held ? 'held' : text;
  return html`<span class="chip ${delivery.held ? 'held' : delivery.state}"
    ><span aria-hidden="true">${delivery.held ? '‖' : sign}</span> <b>${delivery.target}</b> ${label}${count}</span
  >`;
}

/** A time that the script of the page converts to the time zone of the user. */
export function time(at: number | undefined, kind: 'ago' | 'at' = 'ago'): Html {
  if (at === undefined) return html`<span class="none">–</span>`;
  const iso = new Date(at).toISOString();
  const text = kind === 'ago' ? ago(at) : `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
  return html`<time datetime="${iso}" data-time="${kind}">${text}</time>`;
}

export function ago(at: number, now = Date.now()): string {
  const ms = now - at;
  return ms < 0
    ? `in ${formatDuration(-ms)}`
    : ms < 1000
      ? 'now'
      : `${formatDuration(Math.max(1000, ms - (ms % 1000)))} ago`;
}

export function bytes(count: number): string {
  return formatBytes(count);
}

export function number(count: number): string {
  return count.toLocaleString('en-GB');
}

export function progress(delivery: Delivery): Html {
  if (delivery.total === 0) return html`<span class="none">–</span>`;
  const label = `${delivery.confirmed} of ${delivery.total} instances confirmed`;
  return html`<span class="progress"
    ><progress value="${delivery.confirmed}" max="${delivery.total}" aria-label="${label}"></progress
    ><span class="num">${number(delivery.confirmed)} / ${number(delivery.total)}</span></span
  >`;
}

export interface ActionButton {
  readonly label: string;
  readonly method: 'POST' | 'PUT';
  readonly path: string;
  /** The request body. */
  readonly body?: Readonly<Record<string, unknown>>;
  /** Confirmation question before the action. */
  readonly confirm?: string;
  readonly kind?: 'primary' | 'danger' | 'plain';
  /** Requests a reason, which is added to the request. */
  readonly reason?: string;
  /** Names the object of the action, for users who do not see the row. */
  readonly about?: string;
}

/** A button for an API request; the script of the page sends it. */
export function actionButton({
  label,
  method,
  path,
  body,
  confirm,
  reason,
  kind = 'plain',
  about,
}: ActionButton): Html {
  return html`<button
    type="button"
    class="${kind}"
    data-method="${method}"
    data-path="${path}"
    ${body !== undefined && html` data-body="${JSON.stringify(body)}"`}
    ${confirm !== undefined && html` data-confirm="${confirm}"`}${reason !== undefined && html` data-reason="${reason}"`}${
      about !== undefined && html` aria-label="${label} ${about}"`
    }
  >
    ${label}
  </button>`;
}

/** Shown for an empty list. */
export function empty(title: string, text: string): Html {
  return html`<div class="empty">
    <p class="title">${title}</p>
    <p>${text}</p>
  </div>`;
}

/** A column that narrow pages omit; its cells need the class `opt` too. */
export function optional(label: string): ClassedColumn {
  return { label, className: 'opt' };
}

/** A column of numbers; its cells need the class `right` too. */
export function right(label: string): ClassedColumn {
  return { label, className: 'right' };
}

interface ClassedColumn {
  readonly label: string;
  readonly className: string;
}

type Column = string | ClassedColumn;

/** A table with its own scroll bar if the page is too narrow for it. */
export function table(caption: string, columns: readonly Column[], rows: readonly Html[]): Html {
  return html`<div class="table" tabindex="0" role="region" aria-label="${caption}">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${columns.map((column) =>
            typeof column === 'string'
              ? html`<th scope="col">${column === '' ? html`<span class="hidden">Actions</span>` : column}</th>`
              : html`<th scope="col" class="${column.className}">${column.label}</th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}

export function option(value: string, label: string, current: string | undefined): Html {
  return html`<option value="${value}" ${value === (current ?? '') && html` selected`}>${label}</option>`;
}

export function select(
  name: string,
  label: string,
  options: readonly (readonly [string, string])[],
  current?: string,
): Html {
  return html`<label class="field"
    ><span>${label}</span
    ><select name="${name}">
      ${options.map(([value, text]) => option(value, text, current))}
    </select></label
  >`;
}

/** Path of the page of a study. */
export function studyPath(study: { readonly source: string; readonly orthancStudyId: string }): string {
  return `/studies/${encodeURIComponent(study.source)}/${encodeURIComponent(study.orthancStudyId)}`;
}

export function dicomDate(date: string): string {
  return /^\d{8}$/.test(date) ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : date;
}

/** A query that preserves the parameters of the current one. */
export function withQuery(path: string, query: Readonly<Record<string, string | number | undefined>>): string {
  const set = Object.entries(query).filter(
    (entry): entry is [string, string | number] => entry[1] !== undefined && entry[1] !== '',
  );
  const text = new URLSearchParams(Object.fromEntries(set.map(([key, value]) => [key, String(value)]))).toString();
  return text === '' ? path : `${path}?${text}`;
}

/** A text in which `…` marks code. */
export function withCode(text: string): Html {
  return html`${text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))}`;
}

const outcomes = {
  applies: ['good', '✓', 'applies'],
  waits: ['warn', '…', 'waits until it is complete'],
  'no-match': ['', '–', 'does not match'],
  stopped: ['', '⊘', 'stopped by an earlier rule'],
  'not-needed': ['', '–', 'not needed'],
} as const;

/** Result of a rule for a study. */
export function outcomeChip(outcome: keyof typeof outcomes): Html {
  const [kind, sign, text] = outcomes[outcome];
  return html`<span class="chip ${kind}"><span aria-hidden="true">${sign}</span> ${text}</span>`;
}
