import type { JobsOptions, QueueOptions, WorkerOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import { priorities, type Priority } from '@dicom-dispatch/core';

/** How long a worker that says nothing keeps its job. A killed worker's job is taken over after this, at the latest twice. */
export const lockDurationMs = 15_000;
const stalledIntervalMs = 5_000;

/** Options that all queues share. */
export function queueOptions(redis: Redis, prefix: string): QueueOptions {
  return { connection: redis, prefix, skipVersionCheck: true };
}

export function workerOptions(redis: Redis, prefix: string, concurrency: number): WorkerOptions {
  return {
    connection: redis,
    prefix,
    concurrency,
    skipVersionCheck: true,
    autorun: false,
    lockDuration: lockDurationMs,
    stalledInterval: stalledIntervalMs,
    // A worker that was killed is no fault of the job. A job that kills its worker each time stops after this many.
    maxStalledCount: 20,
  };
}

const day = 86_400;

/** Finished jobs are kept for Bull Board; what failed stays until an operator has looked. */
export const keepJobs = {
  removeOnComplete: { age: 7 * day, count: 10_000 },
  removeOnFail: false,
} as const satisfies JobsOptions;

/** BullMQ's priorities: 1 is first. */
export function jobPriority(priority: Priority): number {
  return (priorities.indexOf(priority) + 1) * 10;
}
