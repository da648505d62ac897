import type { StudyTaskData } from '@dicom-dispatch/core';
import type { Records } from '@dicom-dispatch/state/records';

/**
 * State of the deliveries of a study task, according to their records:
 *
 * - `arrived`: all have succeeded, or were taken over by targets where they have
 * - `open`: some wait or are running
 * - `person`: some have ended without success; a retry may complete them
 * - `unknown`: there are no records, except of moved deliveries
 */
export type StudyTaskStands = 'arrived' | 'open' | 'person' | 'unknown';

export async function studyTaskStands(
  records: Pick<Records, 'deliveriesOf'>,
  task: StudyTaskData,
): Promise<StudyTaskStands> {
  const id = task.partOf ?? task.studyTaskId;
  const deliveries = (await records.deliveriesOf(task)).filter(({ studyTaskId }) => studyTaskId === id);
  if (!deliveries.some(({ state }) => state !== 'moved')) return 'unknown';
  if (deliveries.some(({ state }) => state === 'waiting' || state === 'active')) return 'open';
  return deliveries.every(({ state }) => state === 'delivered' || state === 'moved') ? 'arrived' : 'person';
}
