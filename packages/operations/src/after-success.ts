import { callJob, OperationError, type PipelineContext } from '@dicom-dispatch/pipeline';
import { TaskRecords, type TaskRecord } from '@dicom-dispatch/state/tasks';

/** A study as its record names it. */
interface StudyKey {
  readonly source: string;
  readonly orthancStudyId: string;
}

/** Actions of rules in the source after success, for one study: each study task has at most one step. */
export async function readAfterSuccess(context: PipelineContext, study: StudyKey): Promise<TaskRecord[]> {
  const { records, redis, config } = context;
  const [record, deliveries] = await Promise.all([records.study(study), records.deliveriesOf(study)]);
  const ids = new Set([record, ...deliveries].flatMap((one) => (one ? [one.studyTaskId] : [])));
  const steps = await new TaskRecords(redis, config().redis.prefix).readAll([...ids]);
  return steps.filter((step) => step?.data.onSuccess !== undefined) as TaskRecord[];
}

/**
 * Makes the unsuccessful steps of a study due now.
 *
 * @returns their number
 * @throws OperationError `conflict` if there are none
 */
export async function retryAfterSuccess(context: PipelineContext, study: StudyKey): Promise<number> {
  const { redis, queues, config } = context;
  const tasks = new TaskRecords(redis, config().redis.prefix);
  const due = (await readAfterSuccess(context, study)).filter(({ state }) => state === 'due');
  if (due.length === 0) {
    throw new OperationError('conflict', 'nothing to repeat: the step is done, or deliveries are still open');
  }
  for (const { data } of due) {
    await tasks.wake(data.studyTaskId);
    // If the job is missing, reconciliation adds one within a minute.
    await callJob(redis, queues.study(), data.studyTaskId, 0);
  }
  return due.length;
}
