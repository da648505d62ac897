import type { Attempt } from '@dicom-dispatch/target-kit/testing';

/** Only the cancellation can end an attempt before this time: the timeouts of targets are much longer. */
const timeoutMs = 40_000;

/**
 * Waits for an attempt that is cancelled while running. It must end without any action of the peer.
 *
 * @returns the attempt, and the milliseconds from the cancellation to its end
 */
export async function settles(
  attempting: Promise<Attempt>,
  signal: AbortSignal,
): Promise<{ readonly attempt: Attempt; readonly settledMs: number }> {
  const { promise: never, reject } = Promise.withResolvers<never>();
  let cancelledMs = Number.NaN;
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    cancelledMs = performance.now();
    timer = setTimeout(() => reject(new Error(`it goes on ${timeoutMs} ms after the cancellation`)), timeoutMs);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const attempt = await Promise.race([attempting, never]);
    return { attempt, settledMs: Math.round(performance.now() - cancelledMs) };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
