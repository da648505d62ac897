import { firstJobPriority, type Redis } from '@dicom-dispatch/runtime';
import type { Queue } from 'bullmq';
import { jobPlace, type JobPlace } from './job-places.ts';

/** A job that would run later than it should by this much is brought forward; a smaller delay is ignored. */
const toleranceMs = 2_000;

export type CallResult =
  /** Nothing was to be done: it is ready or running, or becomes ready in time. */
  | 'live'
  /** It would have run too late. */
  | 'advanced'
  /** It had ended, or no list named it. */
  | 'revived'
  /** The job does not exist: the caller adds it. */
  | 'missing';

/**
 * Ensures that a job becomes ready within a time. Safe at any time: changes made meanwhile are checked again.
 *
 * @param dueInMs - 0 for immediately
 * @param place - its last known state, if known
 */
export async function callJob(
  redis: Redis,
  queue: Queue,
  id: string,
  dueInMs: number,
  place?: JobPlace,
): Promise<CallResult> {
  for (let look = 0; look < 5; look += 1) {
    const { state, delayedUntil = 0 } = (look === 0 ? place : undefined) ?? (await jobPlace(redis, queue, id));
    switch (state) {
      case 'missing':
        return 'missing';
      case 'ready':
      case 'active':
      case 'stalled':
      case 'waiting-children':
        return 'live';
      case 'delayed': {
        if (dueInMs > 0 && delayedUntil - Date.now() <= dueInMs + toleranceMs) return 'live';
        if (await attempt(async () => advance(queue, id, dueInMs))) return 'advanced';
        break;
      }
      case 'failed':
      case 'completed':
        if (await attempt(async () => revive(redis, queue, id, state))) return 'revived';
        break;
      case 'nowhere': {
        // BullMQ has no operation for this, so it is added again. Its study task must not treat the removal as the end of the
        // delivery.
        await redis.hdel(queue.toKey(id), 'parentKey', 'parent');
        const isRemoved = await attempt(async () => void (await queue.remove(id)));
        return isRemoved ? 'missing' : 'live';
      }
    }
  }
  // It changes continuously: another process is working on it.
  return 'live';
}

/** Puts a job before all others of its queue, also in every later attempt. @returns false if it has ended */
export async function putFirst(queue: Queue, id: string): Promise<boolean> {
  const job = await queue.getJob(id);
  if (!job) return false;
  return attempt(() => job.changePriority({ priority: firstJobPriority, lifo: true }));
}

async function advance(queue: Queue, id: string, dueInMs: number): Promise<void> {
  const job = await queue.getJob(id);
  if (dueInMs > 0) await job?.changeDelay(dueInMs);
  else await job?.promote();
}

async function revive(redis: Redis, queue: Queue, id: string, state: 'failed' | 'completed'): Promise<void> {
  // BullMQ's own failure marker (stalled too often) would end it immediately.
  await redis.hdel(queue.toKey(id), 'defa', 'stc');
  const job = await queue.getJob(id);
  await job?.retry(state, { resetAttemptsMade: true, resetAttemptsStarted: true });
}

/** @returns false if the job has moved meanwhile */
async function attempt(act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    if (isJobError(error)) return false;
    throw error;
  }
}

/** An error of BullMQ: the job is locked, or not in the state that the operation requires. It is no failure of Redis. */
export function isJobError(error: unknown): boolean {
  return error instanceof Error && typeof (error as { code?: unknown }).code === 'number';
}
