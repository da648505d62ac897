import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import type { Job, Queue } from 'bullmq';
import { Refused } from './refused.ts';

/** The job of a study task, whose actions first check or change the record of the task. */
export function asStudyJob(job: Job, queue: Queue, context: PipelineContext): Job {
  const id = job.id ?? '';
  const tasks = new TaskRecords(context.redis, context.config().redis.prefix);
  const retryJob = job.retry.bind(job);
  const promoteJob = job.promote.bind(job);
  const removeJob = job.remove.bind(job);

  job.retry = async (state = 'failed') => {
    await tasks.wake(stepOf(job));
    await retryJob(state, { resetAttemptsMade: true, resetAttemptsStarted: true });
  };
  job.promote = async () => {
    await tasks.wake(stepOf(job));
    await promoteJob();
  };
  job.remove = async () => {
    const state = await (await queue.getJob(id))?.getState();
    if (state === 'active') throw new Refused('it is in progress: wait until it ends');
    if (state === 'waiting-children') {
      throw new Refused(
        'not all of its deliveries have succeeded: cancel the deliveries that are not needed, and leave the task',
      );
    }
    const step = await tasks.read(stepOf(job));
    if (step && step.state !== 'done') {
      throw new Refused('the actions in the source are not done yet: they are retried automatically');
    }
    // Without its children: deliveries have separate jobs.
    await removeJob({ removeChildren: false });
  };
  return job;
}

/** The step of the study task, of which the job may be a part. */
function stepOf(job: Job): string {
  const { partOf } = (job.data ?? {}) as { readonly partOf?: unknown };
  return typeof partOf === 'string' ? partOf : (job.id ?? '');
}
