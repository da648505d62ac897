import { deliveryStates } from '@dicom-dispatch/state/records';
import type { PipelineContext } from '@dicom-dispatch/pipeline';

/** What went through a target in one stretch of time. */
export interface ThroughputPoint {
  /** Its start, ms since 1970. */
  readonly at: number;
  readonly bytes: number;
  readonly delivered: number;
  /** Deliveries that ended any other way. */
  readonly failed: number;
}

const minuteMs = 60_000;

/**
 * What went through a target, oldest first, up to now.
 *
 * @param minutes - how far back, at most two days
 * @param step - minutes that make one point
 */
export async function readThroughput(
  context: PipelineContext,
  target: string,
  minutes: number,
  step: number,
): Promise<ThroughputPoint[]> {
  const end = Math.floor(Date.now() / minuteMs) + 1;
  const points = Math.ceil(minutes / step);
  const start = end - points * step;
  const pipeline = context.redis.pipeline();
  for (let minute = start; minute < end; minute += 1) pipeline.hgetall(context.keys.stats(target, minute));
  const answers = (await pipeline.exec()) ?? [];
  return Array.from({ length: points }, (_, point) => {
    let bytes = 0;
    let delivered = 0;
    let failed = 0;
    for (const [error, counted] of answers.slice(point * step, (point + 1) * step)) {
      if (error) throw error;
      const fields = counted as Record<string, string>;
      bytes += Number(fields['bytes'] ?? 0);
      delivered += Number(fields['delivered'] ?? 0);
      for (const state of deliveryStates) if (state !== 'delivered') failed += Number(fields[state] ?? 0);
    }
    return { at: (start + point * step) * minuteMs, bytes, delivered, failed };
  });
}
