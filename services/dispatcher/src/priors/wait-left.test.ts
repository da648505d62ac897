import { expect, it } from 'vitest';
import { waitLeftMs } from './wait-left.ts';

it('a study waits for its priors never longer than its rule allows, with any clock', () => {
  const step = { openedAt: 100_000, waitUntil: 160_000 };
  expect(waitLeftMs({ openedAt: 100_000 }, 0)).toBeUndefined();
  expect([100_000, 130_000, 160_000, 170_000].map((now) => waitLeftMs(step, now))).toEqual([
    60_000, 30_000, 0, -10_000,
  ]);
  // The clock is a little behind that of the Redis before; it was set back by more than the wait.
  expect([99_000, 30_000].map((now) => waitLeftMs(step, now))).toEqual([60_000, 0]);
});
