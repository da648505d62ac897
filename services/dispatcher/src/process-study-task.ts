import { studyTaskData } from '@dicom-dispatch/core';
import type { Job } from 'bullmq';
import type { DispatcherContext } from './dispatcher-context.ts';

/** The end of a study task: BullMQ runs it when all its deliveries have succeeded. */
export async function processStudyTask(
  context: DispatcherContext,
  job: Job,
): Promise<{ delivered: readonly string[] }> {
  const data = studyTaskData.parse(job.data);
  context.log.info(
    { study: data.studyInstanceUid, source: data.source, targets: data.targets, ms: Date.now() - data.routedAt },
    'study delivered to all its targets',
  );
  return { delivered: data.targets };
}
