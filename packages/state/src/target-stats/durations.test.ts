import { expect, it } from 'vitest';
import { bucketOf, durationOfBucket, summarizeDurations } from './durations.ts';

it('a duration is in the bucket whose middle is within 9 % of it', () => {
  for (let ms = 1.2; ms < 2 ** 31; ms *= 1.07) {
    expect(Math.abs(durationOfBucket(bucketOf(ms)) / ms - 1), `${ms} ms`).toBeLessThan(0.0906);
  }
});

it('buckets begin at each quarter of a doubling, the first one at 0 and the last one without an end', () => {
  expect([Number.NaN, -5, 0, 1].map(bucketOf)).toEqual([0, 0, 0, 0]);
  expect([1.18, 1.19, 2, 4, 4.7, 4.8].map(bucketOf)).toEqual([0, 1, 4, 8, 8, 9]);
  expect(bucketOf(2 ** 31.7)).toBe(126);
  expect(bucketOf(2 ** 31.8)).toBe(127);
  expect(bucketOf(Number.MAX_VALUE)).toBe(127);
});

it('median and 95th percentile are those of the counted durations, in any order', () => {
  const summary = (...counts: [number, number][]) => summarizeDurations(new Map(counts));
  expect(summary([8, 1])).toEqual({ count: 1, medianMs: durationOfBucket(8), p95Ms: durationOfBucket(8) });
  expect(summary([40, 1], [8, 19])).toEqual({ count: 20, medianMs: durationOfBucket(8), p95Ms: durationOfBucket(8) });
  expect(summary([40, 2], [8, 18])).toEqual({ count: 20, medianMs: durationOfBucket(8), p95Ms: durationOfBucket(40) });
  expect(summary([9, 1], [8, 1])).toMatchObject({ medianMs: durationOfBucket(8), p95Ms: durationOfBucket(9) });
  expect(summary([100, 3], [9, 2], [8, 1])).toMatchObject({ count: 6, medianMs: durationOfBucket(9) });
  expect(summary([8, 0])).toBeUndefined();
});
