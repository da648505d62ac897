import { asDispatchError, backOffMs, studyTaskData, type StudyTaskData } from '@dicom-dispatch/core';
import { settleJob, studyTaskStands, type JobEnd } from '@dicom-dispatch/pipeline';
import { redisNow } from '@dicom-dispatch/state/redis';
import type { Job } from 'bullmq';
import { afterSuccess } from './after-success.ts';
import type { DispatcherContext } from './dispatcher-context.ts';

/** Pauses between attempts of the actions in the source, which are retried until they succeed. */
const backoff = { first: 5_000, max: 15 * 60_000, jitter: 0.3 };
/** Interval for checking a study task whose deliveries have not all succeeded. */
const notYetMs = 60_000;
/** Interval for checking a study that is still needed for its priors. */
const priorsMs = 10_000;

/**
 * The end of a study task: its job runs when all its deliveries have succeeded. The actions of the rules in the source are
 * a step with a separate record, and are retried until they succeed.
 *
 * @throws the error that makes BullMQ release the job, and nothing else
 */
export async function processStudyTask(context: DispatcherContext, job: Job, token: string): Promise<unknown> {
  const parsed = studyTaskData.safeParse(job.data);
  let end: JobEnd;
  if (!parsed.success) {
    end = { kind: 'failed', reason: 'its data cannot be read' };
  } else {
    try {
      end = await endOf(context, parsed.data);
    } catch (error) {
      context.log.warn({ task: job.id, err: error }, 'study task could not be read; its job is repeated');
      end = { kind: 'later', inMs: backoff.first };
    }
  }
  return settleJob(job, token, end);
}

async function endOf(context: DispatcherContext, data: StudyTaskData): Promise<JobEnd> {
  const id = data.partOf ?? data.studyTaskId;
  const delivered = { kind: 'completed', result: { delivered: data.targets } } as const;
  const log = context.log.child({ study: data.studyInstanceUid, source: data.source, task: id });
  if (!data.onSuccess) {
    log.info({ targets: data.targets }, 'study delivered to all its targets');
    return delivered;
  }
  // A study task of an earlier version has no record yet.
  await context.tasks.open({ ...data, studyTaskId: id });
  const task = await context.tasks.read(id);
  if (!task || task.state === 'done') return delivered;
  const { onSuccess } = task.data;
  if (!onSuccess) return delivered;
  // A delivery whose job was removed has not succeeded.
  if ((await studyTaskStands(context.records, task.data)) !== 'arrived') {
    return { kind: 'later', inMs: notYetMs };
  }
  // Priors are chosen and compared by data of the study in the source.
  if ((onSuccess.delete || onSuccess.unprotect) && (await hasOpenPriors(context, task.data))) {
    return { kind: 'later', inMs: priorsMs };
  }
  const dueInMs = (task.nextAttemptAt ?? 0) - (await redisNow(context.redis, context.config.redis.prefix));
  if (dueInMs > 250) return { kind: 'later', inMs: dueInMs };
  try {
    const after = await afterSuccess(context, task.data, onSuccess);
    await context.tasks.finish(id, after.done, after.left);
    return { kind: 'completed', result: { delivered: data.targets, after } };
  } catch (thrown) {
    const error = asDispatchError(thrown, 'finalize');
    const inMs = backOffMs(backoff, task.attempts + 1, error.retryAfterMs);
    log.warn({ attempt: task.attempts + 1, code: error.code, reason: error.message, inMs }, 'after success: postponed');
    await context.tasks.putOff(id, inMs, error.toRecord());
    return { kind: 'later', inMs };
  }
}

async function hasOpenPriors({ priors }: DispatcherContext, study: StudyTaskData): Promise<boolean> {
  return (await priors.of(study)).some(({ state }) => state !== 'done');
}
