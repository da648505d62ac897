import { redisKeys } from '@dicom-dispatch/state/keys';
import { fingerprint, targetQueue, type Config, type TargetConfig } from '@dicom-dispatch/core';
import { workerOptions, type Logger, type Redis } from '@dicom-dispatch/runtime';
import { callDelivery } from '@dicom-dispatch/pipeline';
import { Worker, type Job, type Queue } from 'bullmq';
import type { FullContext } from './create-context.ts';
import type { StopReason } from './delivery-turn.ts';
import { processDelivery } from './process-delivery.ts';
import { TargetGate } from './target-gate.ts';

export interface TargetWorker {
  /** `run()` is the caller's. */
  readonly worker: Worker;
  readonly gate: TargetGate;
}

/** A worker for the deliveries of one target. */
export function createTargetWorker(
  context: FullContext,
  redis: Redis,
  name: string,
  target: TargetConfig,
): TargetWorker {
  const { config } = context;
  const concurrency = Math.min(target.concurrency, config.dispatcher.concurrency);
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
      ...workerOptions(redis, config.redis.prefix, concurrency, config.dispatcher.lockTime),
      name: context.worker,
      ...(target.rateLimit?.deliveriesPerMinute !== undefined && {
        limiter: { max: target.rateLimit.deliveriesPerMinute, duration: 60_000 },
      }),
    },
  );
  const gate = new TargetGate(worker, name, context.circuits);
  watchWorker(worker, context.log);
  // BullMQ ends no job by itself. Should it all the same, the record says that there is more to do.
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
    context.log.warn({ delivery: id, err: error }, 'reconciliation has to look after a job');
  }
}

/** What of a target its worker was made for: when it changes, the worker is replaced. */
export function workerShape(config: Config, target: TargetConfig): string {
  return fingerprint([target.concurrency, target.rateLimit?.deliveriesPerMinute, config.dispatcher.concurrency]);
}

/**
 * Lets the concurrency of a target hold over all dispatchers. Once for each value in the configuration: what an operator
 * sets meanwhile stays until the configuration says something else.
 */
export async function applyConcurrency(
  redis: Redis,
  prefix: string,
  queue: Queue,
  name: string,
  target: TargetConfig,
): Promise<void> {
  const key = redisKeys(prefix).concurrency;
  if ((await redis.hget(key, name)) === String(target.concurrency)) return;
  await queue.setGlobalConcurrency(target.concurrency);
  await redis.hdel(redisKeys(prefix).learnt, name);
  await redis.hset(key, name, target.concurrency);
}

export function watchWorker(worker: Worker, log: Logger): void {
  worker.on('error', (error) => log.warn({ queue: worker.name, reason: error.message }, 'worker reports an error'));
  worker.on('lockRenewalFailed', (jobIds: string[]) => {
    for (const id of jobIds) worker.cancelJob(id, 'lock-lost' satisfies StopReason);
  });
  worker.on('stalled', (jobId) =>
    log.warn({ queue: worker.name, delivery: jobId }, 'a delivery of a dead worker is taken over'),
  );
}
