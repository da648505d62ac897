import { expect, it } from 'vitest';
import { backOffMs } from './back-off.ts';

const backoff = { first: 1000, max: 60_000, jitter: 0.5 };

it('doubles up to the longest wait', () => {
  const waits = [1, 2, 3, 7, 50].map((attempts) => backOffMs(backoff, attempts, 0, () => 1));
  expect(waits).toEqual([1000, 2000, 4000, 60_000, 60_000]);
});

it('is random by the share of jitter, and at least the wait requested by the target', () => {
  expect(backOffMs(backoff, 1, 0, () => 0)).toBe(500);
  expect(backOffMs(backoff, 1, 30_000, () => 0)).toBe(30_000);
});

it('is spread around nothing but the share of jitter, in whole milliseconds', () => {
  expect(backOffMs(backoff, 1, 0, () => 0.5)).toBe(750);
  expect(backOffMs({ ...backoff, jitter: 0 }, 2, 0, () => 0.3)).toBe(2000);
  expect(backOffMs({ ...backoff, first: 333 }, 1, 0, () => 0)).toBe(167);
  // The wait requested by the target does not shorten a longer one.
  expect(backOffMs(backoff, 3, 1, () => 1)).toBe(4000);
});

it('grows no further than a number can, however many attempts there were', () => {
  expect(backOffMs({ first: 1, max: Number.MAX_VALUE, jitter: 0 }, 5_000)).toBe(2 ** 40);
});
