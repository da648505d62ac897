import { act } from '@dicom-dispatch/state/records';
import { callDelivery, type WakeContext } from './wake-delivery.ts';

/**
 * Continues a delivery that ended because its study had left the source. Confirmed instances are not sent again; a hold
 * is preserved.
 *
 * @returns false if it has not ended for this reason
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
