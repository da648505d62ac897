import { setTimeout as sleep } from 'node:timers/promises';
import { DelayedError, UnrecoverableError, WaitingError, type Job } from 'bullmq';
import { isJobError } from './call-job.ts';

/**
 * How a worker lets go of a job. BullMQ counts none of it:
 *
 * - `completed`, `failed`: it has ended; the record says the same already
 * - `later`: it calls again after a time
 * - `front`: it goes back to where it was in the queue
 * - `left`: another worker has it by now
 */
export type JobEnd =
  | { readonly kind: 'completed'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'later'; readonly inMs: number }
  | { readonly kind: 'front' }
  | { readonly kind: 'left' };

const againMs = 500;

/**
 * Does it, as often as it takes: while Redis does not respond, and until the lock is lost.
 *
 * @param afterwards - done when it is back in the queue
 * @returns the result of a completed job
 * @throws what makes BullMQ do the rest, and nothing else
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
      // BullMQ takes this for done, and touches nothing.
      throw new DelayedError();
  }
}

/** @returns false when the job is another worker's, or gone */
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
