import { formatDuration } from '@dicom-dispatch/core';
import { readDurations, readThroughput } from '@dicom-dispatch/operations';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import type { News } from './notification.ts';

const dayMs = 86_400_000;
const weekMs = 7 * dayMs;
const weekMinutes = 7 * 24 * 60;
/** The first Monday of 1970, at 06:00 UTC: 1 January was a Thursday. */
const firstMondayMs = 4 * dayMs + 6 * 3_600_000;

/** The summary of the last seven days, due on Monday at 06:00 UTC. The first check only stores the current week. */
export async function watchWeek(operations: PipelineContext, now = Date.now()): Promise<News> {
  const { redis } = operations;
  const key = `${operations.config().redis.prefix}:notify:seen`;
  const week = Math.floor((now - firstMondayMs) / weekMs);
  const notified = await redis.hget(key, 'week');
  const remember = async (): Promise<void> => void (await redis.hset(key, { week }));
  if (notified === null) return { notifications: [], remember };
  if (Number(notified) >= week) return { notifications: [], remember: async () => {} };
  const message = await summarizeWeek(operations);
  const at = firstMondayMs + week * weekMs;
  return {
    notifications: [{ id: `week ${week}`, kind: 'weekly-summary', at, target: '', message, path: '/targets' }],
    remember,
  };
}

/** A line for the total, then one for each target, the slowest first. */
export async function summarizeWeek(operations: PipelineContext): Promise<string> {
  const targets = await Promise.all(
    Object.keys(operations.config().targets).map(async (target) => {
      const [points, durations] = await Promise.all([
        readThroughput(operations, target, weekMinutes, 60),
        readDurations(operations, target),
      ]);
      const attempt = durations.parts.find(({ timed }) => timed === 'attempt');
      return {
        target,
        delivered: points.reduce((sum, { delivered }) => sum + delivered, 0),
        failed: points.reduce((sum, { failed }) => sum + failed, 0),
        duration: attempt?.usual ?? attempt?.recent,
      };
    }),
  );
  const total = (what: 'delivered' | 'failed'): number => targets.reduce((sum, one) => sum + one[what], 0);
  const lines = targets
    .filter(({ delivered, failed }) => delivered + failed > 0)
    .sort((one, other) => (other.duration?.medianMs ?? 0) - (one.duration?.medianMs ?? 0))
    .map(({ target, delivered, failed, duration }) => {
      const speed = duration
        ? `, median ${formatDuration(Math.round(duration.medianMs))}, p95 ${formatDuration(Math.round(duration.p95Ms))}`
        : '';
      return `${target}: ${delivered} delivered, ${failed} not${speed}`;
    });
  return [
    `${total('delivered')} deliveries delivered, ${total('failed')} ended without success in seven days`,
    ...lines,
  ].join('\n');
}
