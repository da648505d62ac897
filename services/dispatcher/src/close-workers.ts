import { setTimeout as sleep } from 'node:timers/promises';
import { closeWorker, partEndMs, type Logger, type Redis } from '@dicom-dispatch/runtime';
import type { Worker } from 'bullmq';
import type { StopReason } from './delivery-job-run.ts';

/** Maximum time for a delivery to reach a safe point after a stop request. */
export const settleMs = 5_000;
/** Maximum wait if nothing is running, and Redis became unavailable meanwhile. */
const withoutRedisMs = 1_000;
const lookMs = 50;

export interface ClosingDependencies {
  /** Workers to be closed. */
  readonly workers: readonly Worker[];
  /** Workers that are being closed. */
  readonly leaving: readonly Promise<void>[];
  /** Ids of the running jobs. */
  underWay(): readonly string[];
  /** How long running jobs may continue, in milliseconds. */
  readonly graceMs: number;
  stopAll(reason: StopReason): void;
  readonly redis: Redis;
  readonly log: Logger;
}

/**
 * Stops workers from taking jobs, and waits for running ones: they may end normally for `graceMs`, and then get `settleMs` to
 * return to the queue. If nothing is running a few seconds are sufficient. Jobs that have not ended by then are left behind:
 * another dispatcher takes them over when their locks have expired.
 */
export async function closeWorkers(dependencies: ClosingDependencies): Promise<void> {
  const { workers, leaving, underWay, graceMs, stopAll, redis, log } = dependencies;
  const isIdle = underWay().length === 0;
  // Without Redis an immediate end loses nothing, unless something is running.
  const ends = workers.map((worker) => (isIdle ? closeWorker(worker, redis) : worker.close()));
  const closing = Promise.allSettled([...ends, ...leaving]);
  const startedAt = performance.now();
  let lastBusyAt = startedAt;
  for (;;) {
    if ((await Promise.race([closing, sleep(lookMs, 'waits')])) !== 'waits') return;
    const now = performance.now();
    if (underWay().length > 0) lastBusyAt = now;
    if (now - startedAt > graceMs) stopAll('shutdown');
    const idleMs = redis.status === 'ready' ? partEndMs : withoutRedisMs;
    if (now - lastBusyAt > idleMs || lastBusyAt - startedAt > graceMs + settleMs) break;
  }
  const jobs = underWay();
  if (jobs.length > 0) {
    log.warn(
      { jobs, graceMs },
      'these deliveries did not reach a safe point in time; another dispatcher takes them over when their locks expire',
    );
  } else {
    log.warn({ redis: redis.status }, 'the connections of workers did not close in time and were abandoned');
  }
}
