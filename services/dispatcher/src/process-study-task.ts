import { studyTaskData } from '@dicom-dispatch/core';
import type { Job } from 'bullmq';
import { afterSuccess, type AfterSuccess } from './after-success.ts';
import type { DispatcherContext } from './dispatcher-context.ts';

/**
 * The end of a study task: BullMQ runs it when all its deliveries have succeeded. What the rules want done in the source
 * is done here; where the source does not answer, BullMQ tries it again.
 */
export async function processStudyTask(
  context: DispatcherContext,
  job: Job,
): Promise<{ delivered: readonly string[]; after?: AfterSuccess }> {
  const data = studyTaskData.parse(job.data);
  context.log.info(
    { study: data.studyInstanceUid, source: data.source, targets: data.targets, ms: Date.now() - data.routedAt },
    'study delivered to all its targets',
  );
  if (!data.onSuccess) return { delivered: data.targets };
  const after = await afterSuccess(context, data, data.onSuccess);
  void job.log(`after success: ${JSON.stringify(after)}`).catch(() => {});
  return { delivered: data.targets, after };
}
