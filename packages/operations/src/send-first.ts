import { callDelivery, OperationError, putFirst, type Actor, type PipelineContext } from '@dicom-dispatch/pipeline';
import { act } from '@dicom-dispatch/state/records';
import { findDelivery } from './find-delivery.ts';

/**
 * Moves a waiting delivery before all others of its target, in this attempt and every later one, and ends the wait for its next
 * attempt. A schedule, a circuit and a hold still apply.
 *
 * @throws OperationError `not-found`; `conflict` unless it waits
 */
export async function sendFirst(context: PipelineContext, deliveryId: string, actor: Actor): Promise<void> {
  const { target } = await findDelivery(context, deliveryId);
  const event = { kind: 'operator', text: `sent first by ${actor.name}` } as const;
  const now = { priority: 'stat', wake: 'job', nextAttemptAt: null } as const;
  let changed = await context.records.change(deliveryId, {
    ...act('first'),
    guards: [...(act('first').guards ?? []), 'unless-held'],
    patch: now,
    event,
  });
  if (changed.kind === 'refused' && changed.why === 'held') {
    changed = await context.records.change(deliveryId, { ...act('first'), patch: { priority: 'stat' }, event });
  }
  if (changed.kind === 'refused') {
    throw new OperationError(
      'conflict',
      `only a waiting delivery can be sent first; ${deliveryId} is ${changed.state}`,
    );
  }
  const record = await context.records.delivery(deliveryId);
  if (record && record.wake !== 'person')
    await callDelivery({ ...context, config: context.config() }, record, changed.now);
  await putFirst(context.queues.target(target), deliveryId);
}
