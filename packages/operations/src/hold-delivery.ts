import { OperationError, wakeDelivery, type Actor, type PipelineContext } from '@dicom-dispatch/pipeline';
import { act } from '@dicom-dispatch/state/records';
import { findDelivery } from './find-delivery.ts';

/**
 * Prevents a waiting delivery from starting until it is released, also after a retry or promotion.
 *
 * @throws OperationError `not-found`; `conflict` unless it waits
 */
export async function holdDelivery(context: PipelineContext, deliveryId: string, actor: Actor): Promise<void> {
  await findDelivery(context, deliveryId);
  const changed = await context.records.change(deliveryId, {
    ...act('hold'),
    patch: { wake: 'person', nextAttemptAt: null },
    event: { kind: 'operator', text: `held by ${actor.name}` },
  });
  if (changed.kind === 'done' || changed.why === 'same') return;
  throw new OperationError('conflict', `only a waiting delivery can be held; ${deliveryId} is ${changed.state}`);
}

/** Continues a held delivery immediately. @returns false if it was not held */
export async function releaseDelivery(context: PipelineContext, deliveryId: string, actor: Actor): Promise<boolean> {
  await findDelivery(context, deliveryId);
  const changed = await context.records.change(deliveryId, {
    ...act('release'),
    patch: { wake: 'job', nextAttemptAt: null },
    event: { kind: 'operator', text: `released by ${actor.name}` },
  });
  if (changed.kind === 'refused') return false;
  await wakeDelivery({ ...context, config: context.config() }, deliveryId);
  return true;
}

/** Which of the deliveries are held. */
export async function heldAmong(context: PipelineContext, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const flags = await context.redis.smismember(context.keys.held, ...ids);
  return new Set(ids.filter((_, at) => flags[at] === 1));
}
