import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { changeScript } from './change-script.ts';
import { encodeField } from './delivery-codec.ts';
import type { DeliveryEvent, DeliveryPatch, DeliveryState } from './record-types.ts';

/**
 * Conditions in addition to the state:
 *
 * - `unless-alive`: no attempt is running whose lock is held
 * - `unless-elsewhere`: no attempt of another job is running whose lock is held
 * - `unless-cancelled`, `unless-held`: no operator has requested otherwise
 * - `when-due`: its due time has been reached
 * - `unless-same`: a field of the patch has another value
 * - `count-loss`: no check; counts an attempt that a crashed dispatcher left behind
 * - `even-without-memory`: no check; is written even if Redis is out of memory
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
  /** States in which it is allowed. Default: any, but an ended delivery keeps its state. */
  readonly from?: readonly DeliveryState[];
  readonly guards?: readonly Guard[];
  /** What an operator requests for it from now on. */
  readonly intent?: 'hold' | 'release' | 'cancel' | 'retry';
}

/**
 * Why nothing was changed:
 *
 * - `missing`: the delivery does not exist
 * - `lock-lost`: the lock of the fence is no longer held
 * - `state`: it is in another state
 * - `alive`, `elsewhere`, `cancelled`, `held`, `early`: a guard
 * - `same`: it is already held, was not held, or has these values
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
  /** The current state; undefined if the delivery does not exist. */
  readonly state: DeliveryState | undefined;
  /** By the clock of Redis (ms since 1970). */
  readonly now: number;
  readonly losses: number;
  /** An operator has requested its cancellation. */
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
