import type { DispatchError } from '@dicom-dispatch/core';
import { settleOnce } from './until.ts';

export interface Limit {
  /** In milliseconds; 0 = none. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** What is thrown when the time is over. */
  onTimeout(): DispatchError;
}

/** Waits for one step of the other side, but no longer than the limit, nor than until the signal aborts. */
export function within<T>(
  promise: Promise<T>,
  { timeoutMs, signal, onTimeout }: Limit,
  discard?: (late: T) => void,
): Promise<T> {
  return settleOnce(promise, { signal, discard, ...(timeoutMs > 0 && { timeoutMs, onTimeout }) });
}
