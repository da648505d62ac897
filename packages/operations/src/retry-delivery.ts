import { ledgerKeyOf } from '@dicom-dispatch/core';
import { callDelivery, OperationError, type Actor, type PipelineContext } from '@dicom-dispatch/pipeline';
import { act, endStates, fromNow, type DeliveryState } from '@dicom-dispatch/state/records';
import { findDelivery, noDelivery } from './find-delivery.ts';

/**
 * Lets a delivery that has ended go again, with all its attempts; what the target has confirmed is not sent again, what
 * was quarantined is. A delivery that waits for its next attempt goes at once; one that is held stays held. One that was
 * never delivered whole (`partial`) goes too; a delivered one does not: route the study again for that.
 *
 * @param options - `anyway`: also outside the schedule of its target and rules, until it ends
 * @throws OperationError `not-found`; `conflict` while an attempt is under way, or when it is delivered
 */
export async function retryDelivery(
  context: PipelineContext,
  deliveryId: string,
  actor: Actor,
  { anyway = false }: { readonly anyway?: boolean } = {},
): Promise<void> {
  const before = await findDelivery(context, deliveryId);
  const hasEnded = endStates.includes(before.state);
  const changed = await context.records.change(deliveryId, {
    ...act('retry'),
    patch: {
      state: 'waiting',
      wake: 'job',
      quarantined: 0,
      nextAttemptAt: null,
      endedAt: null,
      worker: null,
      retriedAt: fromNow(),
      failures: null,
      waits: null,
      losses: null,
      resolution: null,
      anyway: anyway ? true : null,
      ...(hasEnded && { error: null, failStage: null }),
    },
    event: { kind: 'operator', text: `retried by ${actor.name}${anyway ? ', regardless of its schedule' : ''}` },
  });
  if (changed.kind === 'refused') {
    if (changed.why === 'missing') throw noDelivery(deliveryId);
    throw new OperationError('conflict', whyNot(deliveryId, changed.state));
  }
  await context.ledger.clearQuarantine(ledgerKeyOf(before));
  const record = await context.records.delivery(deliveryId);
  if (record) await callDelivery({ ...context, config: context.config() }, record, changed.now);
}

function whyNot(deliveryId: string, state: DeliveryState | undefined): string {
  if (state === 'delivered') return `${deliveryId} is delivered: route its study again to send it once more`;
  if (state === 'moved') return `${deliveryId} was taken over by another target of its group: retry that one`;
  return `an attempt of ${deliveryId} is in progress: cancel it first, or wait until it ends`;
}
