import type { DeliveryRecord, DeliveryState } from '@dicom-dispatch/cache/records';
import { eachDelivery, type OperationsContext } from '@dicom-dispatch/operations';
import type { Notification } from './notification.ts';

const told: readonly (DeliveryState & Notification['kind'])[] = ['delivered', 'partial', 'failed', 'source-gone'];

/** Clocks of machines differ: what ended this long before the last look is looked at once more. */
const overlapMs = 60_000;

/**
 * Deliveries that ended since the last look. How far it has looked is kept in Redis, state by state, and what it told of
 * the last minutes: what ends while no console runs is told later, and each end once.
 */
export async function watchDeliveries(
  operations: OperationsContext,
  wanted: ReadonlySet<Notification['kind']>,
): Promise<Notification[]> {
  const { redis } = operations;
  const { prefix } = operations.config().redis;
  const seenKey = `${prefix}:notify:seen`;
  const toldKey = `${prefix}:notify:told`;
  const seen = await redis.hgetall(seenKey);
  const found: Notification[] = [];
  for (const state of told) {
    const now = Date.now();
    // The first look ever tells nothing of the past.
    const begin = Number(seen[`since ${state}`] ?? 0);
    if (begin === 0 || !wanted.has(state)) {
      await redis.hset(seenKey, { [`since ${state}`]: now, [state]: now });
      continue;
    }
    const since = Math.max(begin, Number(seen[state]) - overlapMs);
    const ended: Notification[] = [];
    for await (const record of eachDelivery(operations, { state, since })) {
      const end = `${record.deliveryId} ${record.endedAt ?? record.updatedAt}`;
      if ((await redis.zadd(toldKey, 'NX', now, end)) === 1) ended.push(toNotification(state, record));
    }
    found.push(...ended.reverse());
    await redis.hset(seenKey, state, now);
  }
  await redis.zremrangebyscore(toldKey, '-inf', Date.now() - 10 * overlapMs);
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
