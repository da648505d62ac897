import { targetQueue } from '@dicom-dispatch/core';
import { workerOptions, type Logger, type Redis } from '@dicom-dispatch/runtime';
import { callDelivery } from '@dicom-dispatch/pipeline';
import { Worker, type Job } from 'bullmq';
import type { FullContext } from './create-context.ts';
import type { StopReason } from './delivery-job-run.ts';
import { processDelivery } from './process-delivery.ts';
import { TargetGate } from './target-gate.ts';

export interface TargetWorker {
  /** The caller calls `run()`. */
  readonly worker: Worker;
  readonly gate: TargetGate;
}

/**
 * A worker for the deliveries of one target. It takes as many as one dispatcher may run; the limits of the target apply to
 * all dispatchers and are stored with its queue (`applyLimits`).
 */
export function createTargetWorker(context: FullContext, redis: Redis, name: string): TargetWorker {
  const { config } = context;
  const { concurrency, lockTime } = config.dispatcher;
  const worker: Worker = new Worker(
    targetQueue(name),
    async (job: Job, token?: string, signal?: AbortSignal) => {
      const id = job.id ?? '';
      context.active.add(id);
      try {
        return await processDelivery(context, {
          job,
          token: token ?? '',
          signal: signal ?? new AbortController().signal,
          closeGate: () => gate.close(),
        });
      } finally {
        context.active.delete(id);
      }
    },
    {
      ...workerOptions(redis, config.redis.prefix, concurrency, lockTime),
      name: context.worker,
    },
  );
  const gate = new TargetGate(worker, name, context.circuits);
  watchWorker(worker, context.log);
  // BullMQ ends no job by itself. If it does nevertheless, the record shows that there is more to do.
  worker.on('failed', (job) => {
    if (job?.id !== undefined) void callAgain(context, job.id);
  });
  return { worker, gate };
}

async function callAgain(context: FullContext, id: string): Promise<void> {
  try {
    const looked = await context.records.look(id);
    if (looked) await callDelivery(context, looked.record, looked.now);
  } catch (error) {
    context.log.warn({ delivery: id, err: error }, 'a job is left to reconciliation');
  }
}

export function watchWorker(worker: Worker, log: Logger): void {
  worker.on('error', (error) => log.warn({ queue: worker.name, reason: error.message }, 'worker reported an error'));
  worker.on('lockRenewalFailed', (jobIds: string[]) => {
    for (const id of jobIds) worker.cancelJob(id, 'lock-lost' satisfies StopReason);
  });
  worker.on('stalled', (jobId) =>
    log.warn({ queue: worker.name, delivery: jobId }, 'a delivery of a dead worker was taken over'),
  );
}
