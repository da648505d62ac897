import type { Stage } from '@dicom-dispatch/core';

/**
 * Names of durations: the stages of a delivery; `instance`: the stage `transfer` divided by the number of confirmed
 * instances; `attempt`: the complete attempt.
 */
export type Timed = Stage | 'instance' | 'attempt';

/** Buckets per doubling of a duration: the error of a result is at most 9 %. */
const perDoubling = 4;
const lastBucket = 127;

/** The bucket of a duration; the first one is for 1 ms and less, the last one is unlimited. */
export function bucketOf(durationMs: number): number {
  if (!(durationMs > 1)) return 0;
  return Math.min(lastBucket, Math.floor(perDoubling * Math.log2(durationMs)));
}

/** The duration (ms) that represents a bucket: its middle. */
export function durationOfBucket(bucket: number): number {
  return 2 ** ((bucket + 0.5) / perDoubling);
}

/** Durations of one kind, counted by bucket. */
export type DurationCounts = ReadonlyMap<number, number>;

export interface DurationSummary {
  readonly count: number;
  readonly medianMs: number;
  readonly p95Ms: number;
}

/** Median and 95th percentile; undefined if nothing was counted. */
export function summarizeDurations(counts: DurationCounts): DurationSummary | undefined {
  const buckets = [...counts].toSorted(([one], [other]) => one - other);
  const count = buckets.reduce((sum, [, one]) => sum + one, 0);
  if (count === 0) return undefined;
  const at = (share: number): number => {
    let left = Math.ceil(count * share);
    for (const [bucket, one] of buckets) {
      left -= one;
      if (left <= 0) return durationOfBucket(bucket);
    }
    return durationOfBucket(buckets.at(-1)?.[0] ?? 0);
  };
  return { count, medianMs: at(0.5), p95Ms: at(0.95) };
}
