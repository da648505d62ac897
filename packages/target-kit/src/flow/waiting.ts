import { DispatchError } from '@dicom-dispatch/core';

/** What an aborted signal means for a run: its reason when that is a DispatchError (lock lost …), else `cancelled`. */
export function cancelledError(signal: AbortSignal): DispatchError {
  if (signal.reason instanceof DispatchError) return signal.reason;
  return new DispatchError('cancelled', 'the delivery was cancelled', { cause: signal.reason });
}

/** @throws {DispatchError} when the signal is aborted */
export function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw cancelledError(signal);
}

/**
 * Waits for a promise, but no longer than until the signal aborts. What the promise does afterwards is nobody's concern
 * any more: its late failure is swallowed, its late result is handed to `discard`.
 *
 * @throws {DispatchError} when the signal aborts first (see `cancelledError`)
 */
export function until<T>(promise: Promise<T>, signal: AbortSignal, discard?: (late: T) => void): Promise<T> {
  return settleOnce(promise, { signal, discard });
}

export interface Waiting<T> {
  readonly signal: AbortSignal;
  readonly discard?: ((late: T) => void) | undefined;
  /** Milliseconds after which waiting ends as well. */
  readonly timeoutMs?: number;
  onTimeout?(): Error;
}

/** One promise, one listener, one timer: this is waited in several times for each file. */
export function settleOnce<T>(promise: Promise<T>, waiting: Waiting<T>): Promise<T> {
  const { signal, discard, timeoutMs, onTimeout } = waiting;
  return new Promise<T>((resolve, reject) => {
    let isSettled = false;
    let timer: NodeJS.Timeout | undefined;
    function settle(): void {
      isSettled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
    function onAbort(): void {
      settle();
      reject(cancelledError(signal));
    }
    promise.then(
      (value) => {
        if (isSettled) return discard?.(value);
        settle();
        resolve(value);
      },
      (error: unknown) => {
        if (isSettled) return;
        settle();
        reject(error);
      },
    );
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort);
    if (timeoutMs === undefined) return;
    timer = setTimeout(() => {
      settle();
      reject(onTimeout?.());
    }, timeoutMs);
  });
}

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

/**
 * Runs an act with a signal that also ends it when its time is over.
 *
 * @param limitMs - 0 = none
 * @param onTimeout - what it is then ended with
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
