import { ledgerKeyOf } from '@dicom-dispatch/core';
import { callDelivery, OperationError, type Actor, type PipelineContext } from '@dicom-dispatch/pipeline';
import { act, endStates, fromNow, type DeliveryState } from '@dicom-dispatch/state/records';
import { findDelivery, noDelivery } from './find-delivery.ts';

export interface RetryOptions {
  /** Also outside the schedule of its target and rules, until it ends. Default false. */
  readonly anyway?: boolean;
  /** Only from these states. Default: from any that can be retried. */
  readonly from?: readonly DeliveryState[];
}

/**
 * Continues an ended delivery, with all its attempts; confirmed instances are not sent again, quarantined ones are. A delivery
 * that waits for its next attempt starts immediately; a held one stays held. A `partial` one can be retried too; a delivered one
 * cannot: route the study again instead.
 *
 * @throws OperationError `not-found`; `conflict` while an attempt is running, or if it is delivered, moved or in none of the
 *   states `from`
 */
export async function retryDelivery(
  context: PipelineContext,
  deliveryId: string,
  actor: Actor,
  { anyway = false, from }: RetryOptions = {},
): Promise<void> {
  const before = await findDelivery(context, deliveryId);
  const hasEnded = endStates.includes(before.state);
  const changed = await context.records.change(deliveryId, {
    ...act('retry'),
    ...(from !== undefined && { from }),
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
    const isOther = from !== undefined && changed.state !== undefined && !from.includes(changed.state);
    throw new OperationError(
      'conflict',
      isOther ? `${deliveryId} is ${changed.state} now` : whyNot(deliveryId, changed.state),
    );
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
