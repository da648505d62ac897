import type { DispatchError } from '@dicom-dispatch/core';
import { until } from './until.ts';

export interface Limit {
  /** In milliseconds; 0 = none. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** What is thrown when the time is over. */
  onTimeout(): DispatchError;
}

/** Waits for one step of the other side, but no longer than the limit, nor than until the signal aborts. */
export async function within<T>(promise: Promise<T>, limit: Limit, discard?: (late: T) => void): Promise<T> {
  if (limit.timeoutMs === 0) return until(promise, limit.signal, discard);
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(limit.onTimeout()), limit.timeoutMs);
  try {
    return await until(promise, AbortSignal.any([limit.signal, over.signal]), discard);
  } finally {
    clearTimeout(timer);
  }
}
