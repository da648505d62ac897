export interface SettleOptions<T, L> {
  readonly signal: AbortSignal;
  /** Error for an aborted signal. Default: its reason. */
  readonly abortError?: ((signal: AbortSignal) => unknown) | undefined;
  /** Milliseconds after which the wait ends. */
  readonly timeoutMs?: number | undefined;
  /** The result after the timeout; it may throw. */
  onTimeout?(): L;
  /** Called with a result that is too late. */
  readonly discard?: ((late: T) => void) | undefined;
}

/**
 * Waits for a promise, but no longer than until the signal aborts, or until the timeout. After that, a late failure of the promise
 * is ignored. Uses only one promise, one listener and one timer: a cancelled `sleep` creates signals and errors, which cost more
 * CPU time.
 *
 * @throws the error of the promise, of `abortError` or of `onTimeout`
 */
export function settleOnce<T, L = never>(promise: Promise<T>, options: SettleOptions<T, L>): Promise<T | L> {
  const { signal, abortError, timeoutMs, discard } = options;
  return new Promise<T | L>((resolve, reject) => {
    let isSettled = false;
    let timer: NodeJS.Timeout | undefined;
    function settle(): void {
      isSettled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
    function onAbort(): void {
      settle();
      reject(abortError ? abortError(signal) : signal.reason);
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
      try {
        resolve(options.onTimeout?.() as L);
      } catch (error) {
        reject(error);
      }
    }, timeoutMs);
  });
}
