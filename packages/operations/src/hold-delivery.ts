import type { Actor, PipelineContext } from '@dicom-dispatch/pipeline';
import { findDelivery } from './find-delivery.ts';
import { OperationError } from '@dicom-dispatch/pipeline';

/** How far into the future a held delivery is put; a release brings it back. */
export const heldForMs = 365 * 86_400_000;

/**
 * Keeps a waiting delivery from starting until it is released.
 *
 * @throws OperationError `not-found`; `conflict` unless it waits
 */
export async function holdDelivery(context: PipelineContext, deliveryId: string, actor: Actor): Promise<void> {
  const record = await findDelivery(context, deliveryId);
  if (record.state !== 'waiting') {
    throw new OperationError('conflict', `only a waiting delivery can be held; ${deliveryId} is ${record.state}`);
  }
  const added = await context.redis.sadd(context.keys.held, deliveryId);
  if (added === 0) return;
  const job = await context.queues.target(record.target).getJob(deliveryId);
  if (job && (await job.getState()) === 'delayed') await job.changeDelay(heldForMs);
  await context.records.update(deliveryId, {}, { kind: 'operator', text: `held by ${actor.name}` });
}

/** @returns false when it was not held */
export async function releaseDelivery(context: PipelineContext, deliveryId: string, actor: Actor): Promise<boolean> {
  const record = await findDelivery(context, deliveryId);
  if ((await context.redis.srem(context.keys.held, deliveryId)) === 0) return false;
  const job = await context.queues.target(record.target).getJob(deliveryId);
  if (job && (await job.getState()) === 'delayed') await job.promote();
  await context.records.update(
    deliveryId,
    { nextAttemptAt: null },
    { kind: 'operator', text: `released by ${actor.name}` },
  );
  return true;
}

/** Which of the deliveries are held. */
export async function heldAmong(context: PipelineContext, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const flags = await context.redis.smismember(context.keys.held, ...ids);
  return new Set(ids.filter((_, at) => flags[at] === 1));
}
