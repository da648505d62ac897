import { cancelledError } from './cancelled.ts';

/**
 * Waits for a promise, but no longer than until the signal aborts. What the promise does afterwards is nobody's concern
 * any more: its late failure is swallowed, its late result is handed to `discard`.
 *
 * @throws {DispatchError} when the signal aborts first (see `cancelledError`)
 */
export async function until<T>(promise: Promise<T>, signal: AbortSignal, discard?: (late: T) => void): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(cancelledError(signal));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  let settled = false;
  promise.then(
    (value) => {
      if (settled) discard?.(value);
    },
    () => {},
  );
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    settled = true;
    signal.removeEventListener('abort', onAbort);
  }
}
