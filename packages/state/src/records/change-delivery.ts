import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { changeScript } from './change-script.ts';
import { encodeField } from './delivery-codec.ts';
import type { DeliveryEvent, DeliveryPatch, DeliveryState } from './record-types.ts';

/**
 * What has to be so, besides the state:
 *
 * - `unless-alive`: no attempt is under way whose lock is held
 * - `unless-elsewhere`: no attempt of another job is under way whose lock is held
 * - `unless-cancelled`, `unless-held`: no operator wants it otherwise
 * - `when-due`: the time at which it goes on has come
 * - `unless-same`: a field of the patch has another value
 * - `count-loss`: checks nothing; counts an attempt that was left behind by a dead dispatcher
 * - `even-without-memory`: checks nothing; is written even when Redis is out of memory
 */
export type Guard =
  | 'unless-alive'
  | 'unless-elsewhere'
  | 'unless-cancelled'
  | 'unless-held'
  | 'when-due'
  | 'unless-same'
  | 'count-loss'
  | 'even-without-memory';

export interface DeliveryChange {
  readonly patch: DeliveryPatch;
  /** For the timeline. */
  readonly event?: Omit<DeliveryEvent, 'at'> | undefined;
  /** The lock under which it is done. */
  readonly fence?: { readonly lockKey: string; readonly token: string } | undefined;
  /** States in which it may be done. Without it: any, but what has ended keeps its state. */
  readonly from?: readonly DeliveryState[];
  readonly guards?: readonly Guard[];
  /** What an operator wants of it from now on. */
  readonly intent?: 'hold' | 'release' | 'cancel' | 'retry';
}

/**
 * Why nothing was changed:
 *
 * - `missing`: there is no such delivery
 * - `lock-lost`: the fence's lock is no longer held
 * - `state`: it is in another state
 * - `alive`, `elsewhere`, `cancelled`, `held`, `early`: a guard
 * - `same`: it is held already, was not held, or has these values
 */
export type Refusal =
  | 'missing'
  | 'lock-lost'
  | 'state'
  | 'alive'
  | 'elsewhere'
  | 'cancelled'
  | 'held'
  | 'early'
  | 'same';

interface Answered {
  /** The state now; undefined when there is no such delivery. */
  readonly state: DeliveryState | undefined;
  /** By the clock of Redis (ms since 1970). */
  readonly now: number;
  readonly losses: number;
  /** An operator has asked to cancel it. */
  readonly isCancelled: boolean;
}

export type Changed =
  | ({ readonly kind: 'done' } & Answered)
  | ({ readonly kind: 'refused'; readonly why: Refusal; /** With `early`. */ readonly dueInMs: number } & Answered);

const longestTimeline = 500;
const cancelledForMs = 90 * 86_400_000;

export async function changeDelivery(
  redis: Redis,
  prefix: string,
  id: string,
  change: DeliveryChange,
): Promise<Changed> {
  const { patch, event, fence, from, guards = [], intent = '' } = change;
  const { addBytesSent = 0, ...fields } = patch;
  const keys = redisKeys(prefix);
  const answer = await changeScript.run(
    redis,
    [
      keys.delivery(id),
      keys.events(id),
      keys.index('open'),
      keys.held,
      keys.cancelled(id),
      ...(fence ? [fence.lockKey] : []),
    ],
    [
      prefix,
      id,
      addBytesSent,
      event ? JSON.stringify(event) : '',
      longestTimeline,
      fence?.token ?? '',
      from ? `,${from.join(',')},` : '',
      `,${guards.join(',')},`,
      intent,
      cancelledForMs,
      ...Object.entries(fields).flatMap(([field, value]) => (value === undefined ? [] : [field, encodeField(value)])),
    ],
  );
  const [word, state, now, dueInMs, losses, cancelled] = answer as [string, string, number, number, number, number];
  const answered: Answered = {
    state: state === '' ? undefined : (state as DeliveryState),
    now,
    losses,
    isCancelled: cancelled === 1,
  };
  return word === 'done'
    ? { kind: 'done', ...answered }
    : { kind: 'refused', why: word as Refusal, dueInMs, ...answered };
}
