import { stages } from '@dicom-dispatch/core';
import { summarizeDurations, TargetStats, type DurationSummary, type Timed } from '@dicom-dispatch/state/target-stats';
import type { PipelineContext } from '@dicom-dispatch/pipeline';

/** The rate is measured over this number of minutes. */
const rateMinutes = 10;
const minuteMs = 60_000;

/** The current rate of deliveries to a target, and the expected end of the waiting ones. */
export interface Pace {
  /** Deliveries that end per minute, over the last ten minutes or since the first of them with a transfer; 0: none. */
  readonly deliveriesPerMinute: number;
  readonly bytesPerSecond: number;
  /** Waiting deliveries that may be sent when the target can be used. */
  readonly ready: number;
  /** Waiting deliveries that are held, outside their schedule, or wait for an operator: not part of the backlog. */
  readonly keptBack: number;
  /** Expected end of ready and running deliveries at this rate (ms since 1970); undefined if there are none, or none end. */
  readonly expectedEndAt: number | undefined;
}

/** @param counts - waiting and running deliveries to the target */
export async function readPace(
  context: PipelineContext,
  target: string,
  counts: { readonly waiting: number; readonly active: number },
): Promise<Pace> {
  const { prefix } = context.config().redis;
  const now = Date.now();
  const [ready, flow] = await Promise.all([
    context.records.readyCount(target),
    new TargetStats(context.redis, prefix).flow(target, 'minute', rateMinutes, now),
  ]);
  const ends = flow.map(({ ended }) => Object.values(ended).reduce((sum, count) => sum + count, 0));
  const first = flow.findIndex(({ bytes }, at) => bytes > 0 || (ends[at] ?? 0) > 0);
  // The last minute has not ended.
  const minutes = first === -1 ? 0 : rateMinutes - 1 - first + Math.max(1 / 6, (now % minuteMs) / minuteMs);
  const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
  const deliveriesPerMinute = minutes === 0 ? 0 : sum(ends) / minutes;
  const left = ready + counts.active;
  return {
    deliveriesPerMinute,
    bytesPerSecond: minutes === 0 ? 0 : sum(flow.map(({ bytes }) => bytes)) / (minutes * 60),
    ready,
    keptBack: Math.max(0, counts.waiting - ready),
    expectedEndAt:
      left === 0 || deliveriesPerMinute === 0 ? undefined : now + Math.round((left / deliveriesPerMinute) * minuteMs),
  };
}

/** Durations at a target: since the previous hour, and in the seven days before today. */
export interface TimedPart {
  readonly timed: Timed;
  readonly recent: DurationSummary | undefined;
  readonly usual: DurationSummary | undefined;
}

export interface TargetDurations {
  /** When `recent` begins (ms since 1970). */
  readonly recentSince: number;
  /** Stages in their order, then the attempt and the instance; only measured ones. */
  readonly parts: readonly TimedPart[];
  /** Set while an instance takes at least twice as long as usual. */
  readonly slower: { readonly instanceMs: number; readonly usualMs: number } | undefined;
}

/** Minimum number of deliveries for a comparison. */
const enough = { recent: 5, usual: 20 };
const slowFactor = 2;
/** Below this time an instance is not slow, even if faster ones are usual. */
const neverSlowMs = 20;

/** Durations of successful deliveries. Those sent during reception are excluded. */
export async function readDurations(context: PipelineContext, target: string): Promise<TargetDurations> {
  const stats = new TargetStats(context.redis, context.config().redis.prefix);
  const now = Date.now();
  const [recent, usual] = await Promise.all([stats.recentDurations(target, now), stats.usualDurations(target, now)]);
  const parts = ([...stages, 'attempt', 'instance'] as const)
    .map((timed) => ({
      timed,
      recent: summarizeDurations(recent.get(timed) ?? new Map()),
      usual: summarizeDurations(usual.get(timed) ?? new Map()),
    }))
    .filter((part) => part.recent !== undefined || part.usual !== undefined);
  return { recentSince: TargetStats.recentSince(now), parts, slower: slowerOf(parts) };
}

function slowerOf(parts: readonly TimedPart[]): TargetDurations['slower'] {
  const instance = parts.find(({ timed }) => timed === 'instance');
  if (!instance?.recent || !instance.usual) return undefined;
  const { recent, usual } = instance;
  if (recent.count < enough.recent || usual.count < enough.usual) return undefined;
  if (recent.medianMs < neverSlowMs || recent.medianMs < slowFactor * usual.medianMs) return undefined;
  return { instanceMs: recent.medianMs, usualMs: usual.medianMs };
}
