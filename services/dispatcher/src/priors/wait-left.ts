import type { PriorsStep } from '@dicom-dispatch/state/priors';

/**
 * For how long a study still waits for its priors, never longer than its rule says; undefined when it waits for none. One that would
 * have to wait for twice as long began when the clock of Redis was ahead: its wait is over.
 *
 * @param now - by the clock of Redis, like the times of the step
 * @returns milliseconds; not above 0 when the wait is over
 */
export function waitLeftMs(
  { openedAt, waitUntil }: Pick<PriorsStep, 'openedAt' | 'waitUntil'>,
  now: number,
): number | undefined {
  if (waitUntil === undefined) return undefined;
  const [waitMs, leftMs] = [waitUntil - openedAt, waitUntil - now];
  return leftMs > 2 * waitMs ? 0 : Math.min(leftMs, waitMs);
}
