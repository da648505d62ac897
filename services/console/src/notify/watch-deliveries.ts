import type { DeliveryRecord, DeliveryState } from '@dicom-dispatch/state/records';
import { eachDelivery } from '@dicom-dispatch/operations';
import { type PipelineContext } from '@dicom-dispatch/pipeline';
import type { News, Notification } from './notification.ts';

const notified: readonly (DeliveryState & Notification['kind'])[] = ['delivered', 'partial', 'failed', 'source-gone'];

/** Clocks of machines differ: deliveries that ended within this time before the last check are checked once more. */
const overlapMs = 60_000;

/**
 * Deliveries that ended since the last check, and those of the preceding minute again. The position is stored in
 * Redis, for each state: deliveries that end while no console runs are reported later.
 */
export async function watchDeliveries(
  operations: PipelineContext,
  wanted: ReadonlySet<Notification['kind']>,
): Promise<News> {
  const { redis } = operations;
  const seenKey = `${operations.config().redis.prefix}:notify:seen`;
  const seen = await redis.hgetall(seenKey);
  const looked: Record<string, number> = {};
  const notifications: Notification[] = [];
  for (const state of notified) {
    const now = Date.now();
    looked[state] = now;
    // The first check of a state reports no earlier deliveries.
    const begin = Number(seen[`since ${state}`] ?? 0);
    if (begin === 0 || !wanted.has(state)) {
      looked[`since ${state}`] = now;
      continue;
    }
    const since = Math.max(begin, Number(seen[state]) - overlapMs);
    const ended: Notification[] = [];
    for await (const record of eachDelivery(operations, { state, since })) ended.push(toNotification(state, record));
    notifications.push(...ended.reverse());
  }
  return { notifications, remember: async () => void (await redis.hset(seenKey, looked)) };
}

function toNotification(kind: Notification['kind'], record: DeliveryRecord): Notification {
  const { error } = record;
  const at = record.endedAt ?? record.updatedAt;
  return {
    id: `${record.deliveryId} ${at}`,
    kind,
    at,
    target: record.target,
    deliveryId: record.deliveryId,
    source: record.source,
    studyInstanceUid: record.studyInstanceUid,
    orthancStudyId: record.orthancStudyId,
    ...(error && { stage: error.stage, code: error.code, message: error.message, remedy: error.remedy }),
  };
}
