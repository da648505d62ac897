import type { DeliveryRecord, DeliveryState } from '@dicom-dispatch/cache/records';
import { eachDelivery, type OperationsContext } from '@dicom-dispatch/operations';
import type { Notification } from './notification.ts';

const told: readonly (DeliveryState & Notification['kind'])[] = ['delivered', 'partial', 'failed', 'source-gone'];

/** More than so many at once are found again at the next look. */
const mostAtOnce = 5_000;

/**
 * Deliveries that ended since the last look. How far it has looked is kept in Redis, state by state: what ends while no
 * console runs is told later, once.
 */
export async function watchDeliveries(
  operations: OperationsContext,
  wanted: ReadonlySet<Notification['kind']>,
): Promise<Notification[]> {
  const { redis } = operations;
  const key = `${operations.config().redis.prefix}:notify:seen`;
  const found: Notification[] = [];
  for (const state of told) {
    const seen = Number((await redis.hget(key, state)) ?? 0);
    const now = Date.now();
    // The first look ever tells nothing of the past.
    if (seen === 0 || !wanted.has(state)) {
      await redis.hset(key, state, now);
      continue;
    }
    const ended: DeliveryRecord[] = [];
    for await (const record of eachDelivery(operations, { state, since: seen, until: now })) {
      ended.push(record);
      if (ended.length >= mostAtOnce) break;
    }
    for (const record of ended.reverse()) found.push(toNotification(state, record));
    await redis.hset(key, state, now);
  }
  return found;
}

function toNotification(kind: Notification['kind'], record: DeliveryRecord): Notification {
  const { error } = record;
  return {
    kind,
    at: record.endedAt ?? record.updatedAt,
    target: record.target,
    deliveryId: record.deliveryId,
    source: record.source,
    studyInstanceUid: record.studyInstanceUid,
    orthancStudyId: record.orthancStudyId,
    ...(error && { stage: error.stage, code: error.code, message: error.message, remedy: error.remedy }),
  };
}
