import { cancelledError } from './cancelled.ts';

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
