import { TargetStats, type TargetFlow } from '@dicom-dispatch/state/target-stats';
import type { PipelineContext } from '@dicom-dispatch/pipeline';

/** Throughput of a target in one period. */
export interface ThroughputPoint {
  /** Its start, ms since 1970. */
  readonly at: number;
  readonly bytes: number;
  readonly delivered: number;
  /** Deliveries that ended in another way. */
  readonly failed: number;
}

const minuteMs = 60_000;
const hourMinutes = 60;
/** Numbers per minute are kept for this time, older ones per hour. */
const longestByMinute = 2 * 24 * hourMinutes;

/**
 * Throughput of a target, oldest first, up to now.
 *
 * @param minutes - period: two days, or a week in whole hours
 * @param step - minutes per point; whole hours if `minutes` is more than two days
 */
export async function readThroughput(
  context: PipelineContext,
  target: string,
  minutes: number,
  step: number,
): Promise<ThroughputPoint[]> {
  const now = Date.now();
  const isByHour = minutes > longestByMinute;
  const spanMinutes = isByHour ? hourMinutes : 1;
  const spansAStep = Math.max(1, Math.round(step / spanMinutes));
  const points = Math.ceil(minutes / spanMinutes / spansAStep);
  const stats = new TargetStats(context.redis, context.config().redis.prefix);
  const flows = await stats.flow(target, isByHour ? 'hour' : 'minute', points * spansAStep, now);
  const spanMs = spanMinutes * minuteMs;
  const start = (Math.floor(now / spanMs) + 1) * spanMs - points * spansAStep * spanMs;
  return Array.from({ length: points }, (_, point) => ({
    at: start + point * spansAStep * spanMs,
    ...sum(flows.slice(point * spansAStep, (point + 1) * spansAStep)),
  }));
}

function sum(flows: readonly TargetFlow[]): Omit<ThroughputPoint, 'at'> {
  let bytes = 0;
  let delivered = 0;
  let failed = 0;
  for (const flow of flows) {
    bytes += flow.bytes;
    for (const [state, count] of Object.entries(flow.ended)) {
      if (state === 'delivered') delivered += count;
      else failed += count;
    }
  }
  return { bytes, delivered, failed };
}
