import { act } from '@dicom-dispatch/state/records';
import { callDelivery, type WakeContext } from './wake-delivery.ts';

/**
 * Lets a delivery go on that ended because its study had left the source. What the target has confirmed is not sent again; held,
 * it stays held.
 *
 * @returns false when it has not ended so
 */
export async function takeBackDelivery(context: WakeContext, deliveryId: string): Promise<boolean> {
  const changed = await context.records.change(deliveryId, {
    ...act('takeBack'),
    patch: { state: 'waiting', wake: 'job', endedAt: null, nextAttemptAt: null, error: null, failStage: null },
    event: { kind: 'waiting', text: 'the source has the study again' },
  });
  if (changed.kind === 'refused') return false;
  const record = await context.records.delivery(deliveryId);
  if (record) await callDelivery(context, record, changed.now);
  return true;
}
