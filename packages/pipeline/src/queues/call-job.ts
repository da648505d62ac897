import { firstJobPriority, type Redis } from '@dicom-dispatch/runtime';
import type { Queue } from 'bullmq';
import { jobPlace, type JobPlace } from './job-places.ts';

/** A job that comes this much later than it should is called; earlier it is as good as in time. */
const toleranceMs = 2_000;

export type CallResult =
  /** It is on its way already. */
  | 'live'
  /** It would have come too late. */
  | 'advanced'
  /** It had ended, or no list named it. */
  | 'revived'
  /** There is none: the caller adds it. */
  | 'missing';

/**
 * Sees to it that a job becomes ready within a time. Safe at any moment: what changes meanwhile is looked at again.
 *
 * @param dueInMs - 0 for at once
 * @param place - where it was a moment ago, when that is known
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
        // BullMQ has no act for it: it is added anew. Its study task must not take that for its end.
        await redis.hdel(queue.toKey(id), 'parentKey', 'parent');
        const isRemoved = await attempt(async () => void (await queue.remove(id)));
        return isRemoved ? 'missing' : 'live';
      }
    }
  }
  // It moves all the time: somebody is at work on it.
  return 'live';
}

/** Puts a job before all others of its queue; it stays so in every later attempt. @returns false when it has ended */
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
  // BullMQ's own verdict on it (stalled too often) would end it at once.
  await redis.hdel(queue.toKey(id), 'defa', 'stc');
  const job = await queue.getJob(id);
  await job?.retry(state, { resetAttemptsMade: true, resetAttemptsStarted: true });
}

/** @returns false when the job is no longer where it was */
async function attempt(act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    if (isJobError(error)) return false;
    throw error;
  }
}

/** An answer of BullMQ that the job is not in the state that the act needs, or locked; not a failure of Redis. */
export function isJobError(error: unknown): boolean {
  return error instanceof Error && typeof (error as { code?: unknown }).code === 'number';
}
