import { endWaitingJob, OperationError, type Actor, type PipelineContext } from '@dicom-dispatch/pipeline';
import { act, fromNow } from '@dicom-dispatch/state/records';
import { findDelivery } from './find-delivery.ts';

const reason = 'cancelled by an operator';

/**
 * Cancels a delivery: a running attempt ends within seconds, or once its dispatcher is connected to Redis again; a waiting one
 * never starts. Confirmed instances stay at the target and in the ledger. The job ends as failed, so that its study task
 * continues to wait.
 *
 * @throws OperationError `not-found`; `conflict` if it has ended already
 */
export async function cancelDelivery(context: PipelineContext, deliveryId: string, actor: Actor): Promise<void> {
  const { redis, keys, records } = context;
  const { target } = await findDelivery(context, deliveryId);
  // A delivery may begin or end between the two changes: then the first is rejected, and the second one may apply.
  for (let look = 0; look < 3; look += 1) {
    const ended = await records.change(deliveryId, {
      ...act('cancel'),
      patch: { state: 'cancelled', endedAt: fromNow(), worker: null },
      event: { kind: 'operator', text: `cancelled by ${actor.name}` },
    });
    if (ended.kind === 'done') {
      await endWaitingJob(context.queues.target(target), redis, deliveryId, reason);
      return;
    }
    if (ended.why !== 'alive') throw endedAlready(deliveryId, ended.state);
    const asked = await records.change(deliveryId, {
      ...act('askToCancel'),
      patch: {},
      event: { kind: 'operator', text: `cancel requested by ${actor.name}` },
    });
    if (asked.kind === 'done') {
      await redis.publish(keys.cancelChannel, deliveryId);
      return;
    }
  }
  throw endedAlready(deliveryId, (await records.delivery(deliveryId))?.state);
}

function endedAlready(deliveryId: string, state: string | undefined): OperationError {
  return new OperationError('conflict', `${deliveryId} has already ended: it is ${state ?? 'forgotten'}`);
}
