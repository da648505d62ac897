import { setTimeout as sleep } from 'node:timers/promises';
import { closeWorker, partEndMs, type Logger, type Redis } from '@dicom-dispatch/runtime';
import type { Worker } from 'bullmq';
import type { StopReason } from './delivery-job-run.ts';

/** How long a delivery may take to come to a safe point once it was told to. */
export const settleMs = 5_000;
/** What is waited for when nothing is under way, and Redis went away in the middle. */
const withoutRedisMs = 1_000;
const lookMs = 50;

export interface ClosingDependencies {
  /** Those to be closed. */
  readonly workers: readonly Worker[];
  /** What is closed already, and not yet done. */
  readonly leaving: readonly Promise<void>[];
  /** Ids of the jobs that are under way now. */
  underWay(): readonly string[];
  /** How long they may go on, in milliseconds. */
  readonly graceMs: number;
  stopAll(reason: StopReason): void;
  readonly redis: Redis;
  readonly log: Logger;
}

/**
 * Lets workers take no more jobs, and waits for what is under way: it may end by itself for `graceMs`, and then gets
 * {@link settleMs} to hand itself back. With nothing under way a few seconds are enough. Jobs that have not ended by then
 * are left behind: another dispatcher takes them over when their locks have run out.
 */
export async function closeWorkers(dependencies: ClosingDependencies): Promise<void> {
  const { workers, leaving, underWay, graceMs, stopAll, redis, log } = dependencies;
  const isIdle = underWay().length === 0;
  // Without Redis an end at once loses nothing, unless something is under way.
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
