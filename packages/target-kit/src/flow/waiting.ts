import { DispatchError, settleOnce } from '@dicom-dispatch/core';

/** The error for an aborted signal: its reason if this is a DispatchError (lock lost …), otherwise `cancelled`. */
export function cancelledError(signal: AbortSignal): DispatchError {
  if (signal.reason instanceof DispatchError) return signal.reason;
  return new DispatchError('cancelled', 'the delivery was cancelled', { cause: signal.reason });
}

/** @throws {DispatchError} when the signal is aborted */
export function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw cancelledError(signal);
}

/**
 * Waits for a promise, but no longer than until the signal aborts. After that, a late failure of the promise is
 * ignored, and a late result is passed to `discard`.
 *
 * @throws {DispatchError} if the signal aborts first (see `cancelledError`)
 */
export function until<T>(promise: Promise<T>, signal: AbortSignal, discard?: (late: T) => void): Promise<T> {
  return settleOnce(promise, { signal, abortError: cancelledError, discard });
}

export interface Limit {
  /** In milliseconds; 0 = none. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Creates the error for the timeout. */
  onTimeout(): DispatchError;
}

/** Waits for one step of the peer, but no longer than the limit, nor than until the signal aborts. */
export function within<T>(
  promise: Promise<T>,
  { timeoutMs, signal, onTimeout }: Limit,
  discard?: (late: T) => void,
): Promise<T> {
  if (timeoutMs <= 0) return until(promise, signal, discard);
  const fail = (): never => {
    throw onTimeout();
  };
  return settleOnce(promise, { signal, abortError: cancelledError, discard, timeoutMs, onTimeout: fail });
}

/**
 * Runs a function with a signal that is also aborted by a timeout.
 *
 * @param limitMs - 0 = none
 * @param onTimeout - creates the error for the timeout
 */
export async function withinDeadline<T>(
  signal: AbortSignal,
  limitMs: number,
  onTimeout: () => DispatchError,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (limitMs <= 0) return act(signal);
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(onTimeout()), limitMs);
  try {
    return await act(AbortSignal.any([signal, over.signal]));
  } finally {
    clearTimeout(timer);
  }
}
