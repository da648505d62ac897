import type { DeliveryChange } from './change-delivery.ts';
import type { DeliveryState } from './record-types.ts';

export interface DeliveryAct extends Required<Pick<DeliveryChange, 'from' | 'guards'>>, Pick<DeliveryChange, 'intent'> {
  /** State afterwards; `same` when it does not change. */
  readonly to: readonly DeliveryState[] | 'same';
  /** For docs/delivery-life.md. */
  readonly who: string;
  readonly what: string;
}

/**
 * The states of a delivery:
 *
 * - `waiting`: continued by the event that `wake` names
 * - `active`: an attempt is running, in the dispatcher that holds the lock of its job
 * - `partial`, `failed`, `source-gone`, `cancelled`: ended; a retry or an audit opens it again, `source-gone` also the return of
 *   its study, and `cancelled` with the error `not-wanted` a rule that sends the study to its target again
 * - `delivered`: ended; an audit opens it again
 * - `moved`: ended, and never opened again
 * - `resolved`: ended without success, and no further action is needed; a retry or an audit opens it again, reopening
 *   restores its former state
 *
 * These are all acts that change the state. Each is one script in Redis, which checks the states and guards first.
 */
export const deliveryActs = {
  begin: {
    from: ['waiting', 'active'],
    to: ['active'],
    guards: ['unless-elsewhere', 'unless-cancelled', 'unless-held', 'count-loss'],
    who: 'dispatcher, under the lock of the job',
    what: 'An attempt begins. From `active`: the previous dispatcher is gone.',
  },
  putOff: {
    from: ['waiting', 'active'],
    to: ['waiting'],
    guards: ['unless-elsewhere', 'unless-cancelled', 'even-without-memory'],
    who: 'dispatcher, under the lock of the job',
    what: 'It continues later: a pause, the circuit, the schedule, another delivery of its study, further instances, a stop of the dispatcher.',
  },
  end: {
    from: ['waiting', 'active'],
    to: ['delivered', 'partial', 'failed', 'source-gone', 'cancelled'],
    guards: ['unless-elsewhere', 'even-without-memory'],
    who: 'dispatcher, under the lock of the job',
    what: 'The attempt was the last one, or it was cancelled before one began.',
  },
  move: {
    from: ['waiting', 'active'],
    to: ['moved'],
    guards: ['even-without-memory'],
    who: 'dispatcher, under the lock of the job; operator',
    what: 'Another target has taken it over.',
  },
  lose: {
    from: ['active'],
    to: ['waiting'],
    guards: ['unless-alive', 'count-loss', 'even-without-memory'],
    who: 'reconciliation',
    what: 'The previous dispatcher is gone.',
  },
  wake: {
    from: ['waiting'],
    to: 'same',
    guards: [],
    who: 'dispatcher, operator, reconciliation',
    what: 'It continues now: the reason for waiting has ended.',
  },
  cancel: {
    from: ['waiting', 'active'],
    to: ['cancelled'],
    guards: ['unless-alive', 'even-without-memory'],
    intent: 'cancel',
    who: 'operator; router, when no rule wants the whole study there',
    what: 'No attempt is under way: it ends at once.',
  },
  askToCancel: {
    from: ['active'],
    to: 'same',
    guards: ['even-without-memory'],
    intent: 'cancel',
    who: 'operator; router, when no rule wants the whole study there',
    what: 'An attempt is under way: its dispatcher ends it within seconds.',
  },
  hold: {
    from: ['waiting'],
    to: 'same',
    guards: ['even-without-memory'],
    intent: 'hold',
    who: 'operator; router, if a rule has `hold`',
    what: 'No attempt begins until it is released.',
  },
  first: {
    from: ['waiting'],
    to: 'same',
    guards: ['even-without-memory'],
    who: 'operator',
    what: 'It moves before all others of its target. Unless it is held, it continues now.',
  },
  release: {
    from: ['waiting'],
    to: 'same',
    guards: ['even-without-memory'],
    intent: 'release',
    who: 'operator',
    what: 'It continues now.',
  },
  retry: {
    from: ['waiting', 'active', 'partial', 'failed', 'source-gone', 'cancelled', 'resolved'],
    to: ['waiting'],
    guards: ['unless-alive', 'even-without-memory'],
    intent: 'retry',
    who: 'operator',
    what: 'It has all its attempts again. A held delivery stays held.',
  },
  resolve: {
    from: ['failed', 'partial', 'source-gone'],
    to: ['resolved'],
    guards: ['even-without-memory'],
    who: 'operator; dispatcher, when a later delivery of the study to the target has arrived',
    what: 'No further action is needed, for a stored reason.',
  },
  reopen: {
    from: ['resolved'],
    to: ['failed', 'partial', 'source-gone'],
    guards: ['even-without-memory'],
    who: 'operator',
    what: 'It has the state from before it was resolved.',
  },
  sendAgain: {
    from: ['delivered', 'partial', 'failed', 'source-gone', 'cancelled', 'resolved'],
    to: ['waiting'],
    guards: ['even-without-memory'],
    intent: 'retry',
    who: 'operator, after an audit of the target',
    what: 'Confirmed instances are missing at the target: they are removed from the ledger next, and sent again.',
  },
  takeBack: {
    from: ['source-gone'],
    to: ['waiting'],
    guards: ['unless-cancelled'],
    who: 'router',
    what: 'The source has the study again.',
  },
  wantAgain: {
    from: ['cancelled'],
    to: ['waiting'],
    guards: [],
    intent: 'retry',
    who: 'router',
    what: 'It was cancelled because no rule sent the complete study to its target (`not-wanted`), and now one does.',
  },
} as const satisfies Readonly<Record<string, DeliveryAct>>;

export type DeliveryActName = keyof typeof deliveryActs;

/** The part of an act that is passed to `Records.change`. */
export function act(name: DeliveryActName): Pick<DeliveryChange, 'from' | 'guards' | 'intent'> {
  const { from, guards, intent }: DeliveryAct = deliveryActs[name];
  return { from, guards, ...(intent && { intent }) };
}

/** The acts as the table of docs/delivery-life.md. */
export function deliveryActsMarkdown(): string {
  const rows = Object.entries(deliveryActs).map(([name, { from, to, who, what }]) => {
    const after = to === 'same' ? 'the same' : to.join(', ');
    return `| \`${name}\` | ${from.join(', ')} | ${after} | ${who} | ${what} |`;
  });
  return ['| Act | From | To | Who | What |', '|---|---|---|---|---|', ...rows].join('\n');
}
