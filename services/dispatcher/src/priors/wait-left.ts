import type { PriorsStep } from '@dicom-dispatch/state/priors';

/**
 * How long a study still waits for its priors, never longer than its rule allows; undefined if it does not wait. A remaining
 * time of more than twice the maximum began when the clock of Redis was ahead: the wait is over.
 *
 * @param now - by the clock of Redis, like the times of the step
 * @returns milliseconds; not above 0 if the wait is over
 */
export function waitLeftMs(
  { openedAt, waitUntil }: Pick<PriorsStep, 'openedAt' | 'waitUntil'>,
  now: number,
): number | undefined {
  if (waitUntil === undefined) return undefined;
  const [waitMs, leftMs] = [waitUntil - openedAt, waitUntil - now];
  return leftMs > 2 * waitMs ? 0 : Math.min(leftMs, waitMs);
}
