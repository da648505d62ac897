import { endWaitingJob } from '@dicom-dispatch/pipeline';
import { endStates } from '@dicom-dispatch/state/records';
import type { Actor, PipelineContext } from '@dicom-dispatch/pipeline';
import { findDelivery } from './find-delivery.ts';
import { OperationError } from '@dicom-dispatch/pipeline';

const keptMs = 90 * 86_400_000;

/**
 * Stops a delivery: an attempt under way ends within about a second, a waiting one never starts. What the target has
 * confirmed stays there and stays known. Its job ends as failed, so that its study task goes on waiting: not all has
 * arrived.
 *
 * @throws OperationError `not-found`; `conflict` when it has ended already
 */
export async function cancelDelivery(context: PipelineContext, deliveryId: string, actor: Actor): Promise<void> {
  const record = await findDelivery(context, deliveryId);
  if (endStates.includes(record.state)) {
    throw new OperationError('conflict', `${deliveryId} has ended already: it is ${record.state}`);
  }
  const { redis, keys, records } = context;
  await redis.set(keys.cancelled(deliveryId), actor.name, 'PX', keptMs);
  await redis.srem(keys.held, deliveryId);
  await redis.publish(keys.cancelChannel, deliveryId);
  if (record.state === 'active') {
    await records.update(deliveryId, {}, { kind: 'operator', text: `cancel asked for by ${actor.name}` });
    return;
  }
  await records.update(
    deliveryId,
    { state: 'cancelled', endedAt: Date.now(), nextAttemptAt: null },
    { kind: 'operator', text: `cancelled by ${actor.name}` },
  );
  await endWaitingJob(context.queues.target(record.target), redis, deliveryId, 'cancelled by an operator');
}
