import type { DispatchError } from '@dicom-dispatch/core';

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
