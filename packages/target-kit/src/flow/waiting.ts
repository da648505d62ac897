import { DispatchError } from '@dicom-dispatch/core';

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
  return settleOnce(promise, { signal, discard });
}

export interface Waiting<T> {
  readonly signal: AbortSignal;
  readonly discard?: ((late: T) => void) | undefined;
  /** Milliseconds after which the wait ends as well. */
  readonly timeoutMs?: number;
  onTimeout?(): Error;
}

/** Uses only one promise, one listener and one timer, since it is called several times for each file. */
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
  /** Creates the error for the timeout. */
  onTimeout(): DispatchError;
}

/** Waits for one step of the peer, but no longer than the limit, nor than until the signal aborts. */
export function within<T>(
  promise: Promise<T>,
  { timeoutMs, signal, onTimeout }: Limit,
  discard?: (late: T) => void,
): Promise<T> {
  return settleOnce(promise, { signal, discard, ...(timeoutMs > 0 && { timeoutMs, onTimeout }) });
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
