import type { JobsOptions, QueueOptions, WorkerOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import { priorities, type Priority } from '@dicom-dispatch/core';
import { queueTelemetry } from '../process/telemetry.ts';

/** Options that all queues share. */
export function queueOptions(redis: Redis, prefix: string): QueueOptions {
  return { connection: redis, prefix, skipVersionCheck: true, ...traced() };
}

/** @param lockTimeMs - how long a worker without renewal keeps its job */
export function workerOptions(redis: Redis, prefix: string, concurrency: number, lockTimeMs: number): WorkerOptions {
  return {
    connection: redis,
    prefix,
    concurrency,
    skipVersionCheck: true,
    ...traced(),
    autorun: false,
    lockDuration: lockTimeMs,
    stalledInterval: Math.ceil(lockTimeMs / 3),
    // BullMQ decides nothing about a job: attempts and crashes of workers are counted in the records.
    maxStalledCount: 1_000_000_000,
    settings: { backoffStrategy: () => unexpectedMs },
    // While it waits for a rate limit BullMQ may hold a job of another slot, without renewing its lock.
    maximumRateLimitDelay: Math.min(1_000, Math.floor(lockTimeMs / 4)),
  };
}

/** Delay after an error that no processor should throw. */
const unexpectedMs = 5_000;

function traced(): Pick<QueueOptions, 'telemetry'> {
  const telemetry = queueTelemetry();
  return telemetry ? { telemetry } : {};
}

const day = 86_400;

/** Completed jobs are kept for Bull Board; failed ones stay until an operator has handled them. */
export const keepJobs = {
  removeOnComplete: { age: 7 * day, count: 10_000 },
  removeOnFail: false,
} as const satisfies JobsOptions;

/** A lower number than that of any priority of a study: "send first" of an operator precedes all others. */
export const firstJobPriority = 1;

/** BullMQ's priorities: 1 is first. */
export function jobPriority(priority: Priority): number {
  return (priorities.indexOf(priority) + 1) * 10;
}
