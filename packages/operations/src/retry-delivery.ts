import { deliveryData, ledgerKeyOf } from '@dicom-dispatch/core';
import { endStates, type DeliveryRecord } from '@dicom-dispatch/state/records';
import type { Job } from 'bullmq';
import type { Actor, PipelineContext } from '@dicom-dispatch/pipeline';
import { deliveryJobOptions } from '@dicom-dispatch/pipeline';
import { findDelivery, noDelivery } from './find-delivery.ts';
import { OperationError } from '@dicom-dispatch/pipeline';

/**
 * Lets a delivery that has ended go again, with all its attempts; what the target has confirmed is not sent again, what
 * was quarantined is. A delivery that waits for its next attempt goes at once. One that was never delivered whole but
 * counts as delivered (`partial`) goes too; a delivered one does not: route the study again for that.
 *
 * @throws OperationError `not-found`; `conflict` while an attempt is under way, or when it is delivered
 */
export async function retryDelivery(context: PipelineContext, deliveryId: string, actor: Actor): Promise<void> {
  const record = await findDelivery(context, deliveryId);
  if (record.state === 'active') {
    throw new OperationError(
      'conflict',
      `an attempt of ${deliveryId} is under way: cancel it first, or wait for its end`,
    );
  }
  if (record.state === 'delivered') {
    throw new OperationError('conflict', `${deliveryId} is delivered: route its study again to send it once more`);
  }
  if (record.state === 'moved') {
    throw new OperationError('conflict', `${deliveryId} was taken over by another target of its group: retry that one`);
  }
  const queue = context.queues.target(record.target);
  const job = await queue.getJob(deliveryId);
  await prepareRetry(context, record, actor);
  if (job) return requeue(job);
  const data = deliveryData.parse(record);
  const studies = context.queues.study();
  const task = await studies.getJob(record.studyTaskId);
  const isAwaited = (await task?.getState()) === 'waiting-children';
  await queue.add('delivery', data, {
    // Its study task still waits for it, though the job is gone.
    ...(isAwaited && { parent: { id: record.studyTaskId, queue: studies.qualifiedName } }),
    ...deliveryJobOptions(context.config(), data),
  });
}

/**
 * What has to be forgotten and written before the job of a delivery is let go again; Bull Board's button does it too.
 *
 * @throws OperationError `not-found` when it was forgotten meanwhile
 */
export async function prepareRetry(context: PipelineContext, record: DeliveryRecord, actor: Actor): Promise<void> {
  const { redis, keys, ledger, records } = context;
  const hasEnded = endStates.includes(record.state);
  // First of all: what waits is not forgotten.
  const isKnown = await records.update(
    record.deliveryId,
    {
      state: 'waiting',
      quarantined: 0,
      nextAttemptAt: null,
      endedAt: null,
      ...(hasEnded && { error: null, failStage: null }),
    },
    { kind: 'operator', text: `retried by ${actor.name}` },
  );
  if (!isKnown) throw noDelivery(record.deliveryId);
  await Promise.all([
    redis.del(keys.cancelled(record.deliveryId)),
    redis.srem(keys.held, record.deliveryId),
    redis.hset(keys.delivery(record.deliveryId), 'retriedAt', Date.now()),
    ledger.clearQuarantine(ledgerKeyOf(record)),
  ]);
}

async function requeue(job: Job): Promise<void> {
  const state = await job.getState();
  if (state === 'failed' || state === 'completed') {
    await job.retry(state, { resetAttemptsMade: true, resetAttemptsStarted: true });
  } else if (state === 'delayed') {
    await job.promote();
  }
}
