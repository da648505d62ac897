import type { DispatchError } from '../errors/dispatch-error.ts';

/** How far a failed attempt came. */
export interface AttemptFacts {
  /** Whether it got past connecting: a request was sent to the target. */
  readonly isReached: boolean;
  /** Instances that the target confirmed in this attempt. */
  readonly confirmed: number;
  /** Attempts before this one that counted, since the last progress. */
  readonly failures: number;
  /** Maximum number of attempts that count, of the target. */
  readonly attempts: number;
}

/**
 * The consequence of a failed attempt:
 *
 * - `end`: a repetition does not help
 * - `exhausted`: it was the last attempt that counts
 * - `circuit`: the target as a whole cannot be used: its circuit opens, and the attempt does not count
 * - `pause`: tried again after the back-off
 */
export type AfterFailure =
  | { readonly kind: 'end' }
  | { readonly kind: 'exhausted' }
  | { readonly kind: 'circuit' }
  | { readonly kind: 'pause'; readonly counts: boolean };

/**
 * Errors of Redis, of this machine, of a source that cannot be reached, or of another delivery: they prove nothing about the
 * target or the study.
 */
const neverCounts: ReadonlySet<string> = new Set([
  'source-unreachable',
  'source-unauthorized',
  'ledger-unavailable',
  'record-damaged',
  'lock-lost',
  'local-resources',
  'uids-in-use',
]);

/**
 * Determines the consequence of a failed attempt. Only an attempt that reached the target and confirmed nothing counts:
 *
 * - After a confirmation there was progress: the next attempt starts the count again.
 * - A target that cannot be used (`wait`), cannot be used as configured (`halt`), or closes the connection before it is
 *   authenticated (a load balancer without available servers, a limit of associations) opens its circuit.
 * - Failures before the target was reached, and the errors in `neverCounts`, are retried and do not count. Another failure of
 *   the source during a transfer counts: the study may be the cause.
 */
export function afterFailure(
  error: Pick<DispatchError, 'code' | 'disposition' | 'fault'>,
  { isReached, confirmed, failures, attempts }: AttemptFacts,
): AfterFailure {
  if (error.disposition === 'permanent') return { kind: 'end' };
  if (confirmed > 0) return { kind: 'pause', counts: false };
  if (error.disposition === 'wait' || error.disposition === 'halt') return { kind: 'circuit' };
  if (error.fault === 'target' && (!isReached || error.code === 'target-busy')) return { kind: 'circuit' };
  if (!isReached || neverCounts.has(error.code)) return { kind: 'pause', counts: false };
  return failures + 1 >= attempts ? { kind: 'exhausted' } : { kind: 'pause', counts: true };
}
