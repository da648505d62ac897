import { setTimeout as sleep } from 'node:timers/promises';
import { DelayedError, UnrecoverableError, WaitingError, type Job } from 'bullmq';
import { isJobError } from './call-job.ts';

/**
 * How a worker releases a job. BullMQ does not count any of these:
 *
 * - `completed`, `failed`: ended; the record already has this state
 * - `later`: runs again after a time
 * - `front`: returns to its position in the queue
 * - `left`: another worker has it now
 */
export type JobEnd =
  | { readonly kind: 'completed'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'later'; readonly inMs: number }
  | { readonly kind: 'front' }
  | { readonly kind: 'left' };

const againMs = 500;

/**
 * Releases the job, with retries while Redis does not respond, until the lock is lost.
 *
 * @param afterwards - called when it is back in the queue
 * @returns the result of a completed job
 * @throws the error that makes BullMQ do the rest, and nothing else
 */
export async function settleJob(
  job: Job,
  token: string,
  end: JobEnd,
  afterwards: () => Promise<void> = async () => {},
): Promise<unknown> {
  switch (end.kind) {
    case 'completed':
      return end.result;
    case 'failed':
      throw new UnrecoverableError(end.reason);
    case 'later':
      if (await untilDone(() => job.moveToDelayed(Date.now() + Math.max(1, Math.ceil(end.inMs)), token))) {
        await afterwards();
      }
      throw new DelayedError();
    case 'front':
      if (await untilDone(async () => void (await job.moveToWait(token)))) await afterwards();
      throw new WaitingError();
    case 'left':
      // BullMQ treats this as done, and changes nothing.
      throw new DelayedError();
  }
}

/** @returns false if another worker has the job, or it no longer exists */
async function untilDone(act: () => Promise<void>): Promise<boolean> {
  for (;;) {
    try {
      await act();
      return true;
    } catch (error) {
      if (isJobError(error)) return false;
      await sleep(againMs);
    }
  }
}
