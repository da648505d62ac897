import { deliveryData } from '@dicom-dispatch/core';
import { act, endStates, type DeliveryEvent, type DeliveryRecord } from '@dicom-dispatch/state/records';
import { addJob, finishReplacing, type HandOverContext } from './hand-over.ts';
import { callJob, type CallResult, type JobPlace } from './queues/index.ts';

export type WakeContext = Pick<HandOverContext, 'config' | 'redis' | 'queues' | 'records'>;

/**
 * Ensures that the job of a delivery runs when its record requires it: a lost job is added, an ended job
 * runs again, and a late one is brought forward. The record decides; an unnecessary call does no harm. A delivery that
 * takes over another one gets no job before that one has ended.
 *
 * @param now - by the clock of Redis
 * @param place - the last known state of its job, if known
 */
export async function callDelivery(
  context: WakeContext,
  record: DeliveryRecord,
  now: number,
  place?: JobPlace,
): Promise<CallResult | 'added' | 'ended' | 'replacing'> {
  if (endStates.includes(record.state)) return 'ended';
  if (record.replaces !== undefined && !(await finishReplacing(context, record))) return 'replacing';
  const { redis, queues } = context;
  const dueInMs = Math.max(0, (record.nextAttemptAt ?? 0) - now);
  const result = await callJob(redis, queues.target(record.target), record.deliveryId, dueInMs, place);
  if (result !== 'missing') return result;
  await addJob(context, deliveryData.parse(record), dueInMs);
  return 'added';
}

/**
 * Continues a waiting delivery now, regardless of what it waits for; a hold is preserved.
 *
 * @returns false if it does not wait
 */
export async function wakeDelivery(
  context: WakeContext,
  deliveryId: string,
  event?: Omit<DeliveryEvent, 'at'>,
): Promise<boolean> {
  const changed = await context.records.change(deliveryId, {
    ...act('wake'),
    patch: { nextAttemptAt: null, wake: 'job' },
    event,
  });
  if (changed.kind === 'refused') return false;
  const record = await context.records.delivery(deliveryId);
  if (record) await callDelivery(context, record, changed.now);
  return true;
}
