import { studyTaskData, type StudyTaskData } from '@dicom-dispatch/core';
import { keepJobs } from '@dicom-dispatch/runtime';
import type { TaskRecord } from '@dicom-dispatch/state/tasks';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { redisNow } from '@dicom-dispatch/state/redis';
import { callJob, jobPlace, releaseParent, unlimitedAttempts, waitingParents } from '../queues/index.ts';
import { studyTaskStands } from '../study-task-stands.ts';
import type { Findings, ReconcileContext } from './reconcile-context.ts';

const again = { arrived: 60_000, open: 300_000, person: 1_800_000, unknown: 3_600_000 } as const;
/** After this time without a delivery a step is abandoned: its study was removed, or never routed. */
const unknownForMs = 7 * 86_400_000;
const cursorField = 'parents-from';

/** Ensures that the actions in the source after success are executed, regardless of what happened to the job. */
export async function reconcileTasks(context: ReconcileContext, findings: Findings, limit: number): Promise<void> {
  const { tasks, redis } = context;
  const now = await redisNow(redis, context.config().redis.prefix);
  const ids = await tasks.toBeLookedAt(now, limit);
  const records = await tasks.readAll(ids);
  for (const [index, id] of ids.entries()) {
    const task = records[index];
    findings.checked += 1;
    if (!task && (await restoreTask(context, findings, id))) continue;
    const lookInMs = task === undefined ? undefined : await reconcileTask(context, findings, id, task, now);
    await (lookInMs === undefined ? tasks.drop(id) : tasks.lookAgain(id, now + lookInMs));
  }
  for (const { data, attempts, error, left } of await tasks.overdue(1_000)) {
    if (attempts === 0) continue;
    findings.problem({
      kind: 'after-success',
      subject: data.studyTaskId,
      text: `The step after success in the source ${data.source} has failed after ${attempts} attempts: ${error?.message ?? left.join('; ')}`,
    });
  }
}

/** Restores a step from its job, which contains the actions. @returns false if the job does not exist */
async function restoreTask({ tasks, queues, log }: ReconcileContext, findings: Findings, id: string): Promise<boolean> {
  const job = await queues.study().getJob(id);
  const parsed = studyTaskData.safeParse(job?.data);
  if (!parsed.success || !parsed.data.onSuccess || !(await tasks.open(parsed.data))) return false;
  findings.repaired('record-restored');
  log.error({ task: id }, 'the record of a study task was missing in Redis, and was made again from its job');
  return true;
}

async function reconcileTask(
  context: ReconcileContext,
  findings: Findings,
  id: string,
  task: TaskRecord,
  now: number,
): Promise<number | undefined> {
  if (task.state === 'done') return undefined;
  const stands = await studyTaskStands(context.records, task.data);
  if (stands === 'unknown' && now - task.updatedAt > unknownForMs) {
    await context.tasks.finish(id, [], ['its deliveries are not known']);
    return undefined;
  }
  if (stands !== 'arrived') return again[stands];
  await callStudyTask(context, findings, task.data, Math.max(0, (task.nextAttemptAt ?? 0) - now));
  return again.arrived + Math.max(0, (task.nextAttemptAt ?? 0) - now);
}

/** Ensures that the job of a study task runs when all its deliveries have succeeded. */
async function callStudyTask(
  { redis, queues }: ReconcileContext,
  findings: Findings,
  data: StudyTaskData,
  dueInMs: number,
): Promise<void> {
  const queue = queues.study();
  const id = data.studyTaskId;
  const place = await jobPlace(redis, queue, id);
  if (place.state === 'waiting-children') {
    if (await releaseParent(redis, queue, id)) findings.repaired('task-released');
    return;
  }
  const result = await callJob(redis, queue, id, dueInMs, place);
  if (result === 'revived') findings.repaired('task-revived');
  if (result !== 'missing') return;
  await queue.add('study', data, {
    ...keepJobs,
    jobId: id,
    attempts: unlimitedAttempts,
    backoff: { type: 'custom' },
    ...(dueInMs > 0 && { delay: dueInMs }),
  });
  findings.repaired('task-added');
}

/**
 * Checks a part of the waiting study tasks in each pass: if all deliveries of a study task have succeeded, it is released,
 * regardless of BullMQ's count.
 */
export async function reconcileParents(context: ReconcileContext, findings: Findings, limit: number): Promise<void> {
  const { redis, queues, records, tasks, config } = context;
  const report = redisKeys(config().redis.prefix).reconcileReport;
  const queue = queues.study();
  const from = Number((await redis.hget(report, cursorField)) ?? 0);
  const ids = await waitingParents(redis, queue, from, limit);
  let released = 0;
  for (const id of ids) {
    findings.checked += 1;
    const job = await queue.getJob(id);
    const parsed = studyTaskData.safeParse(job?.data);
    if (!parsed.success) continue;
    // A study task of an earlier version has no record of its actions.
    if (parsed.data.onSuccess && parsed.data.partOf === undefined) await tasks.open(parsed.data);
    const stands = await studyTaskStands(records, parsed.data);
    if (stands === 'arrived' && (await releaseParent(redis, queue, id))) {
      released += 1;
      findings.repaired('task-released');
    }
  }
  await redis.hset(report, cursorField, ids.length < limit ? 0 : from + ids.length - released);
}
