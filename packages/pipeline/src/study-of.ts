import type { DeliveryData } from '@dicom-dispatch/core';
import type { StudyRecord } from '@dicom-dispatch/state/records';

/** What is known of a study by one of its deliveries. */
export function studyOf(data: DeliveryData, targets: readonly string[]): StudyRecord {
  const { source, epoch, studyInstanceUid, orthancStudyId, contentHash, instanceCount, modalities, rules } = data;
  const { studyTaskId, routedAt } = data;
  return {
    source,
    epoch,
    studyInstanceUid,
    orthancStudyId,
    contentHash,
    instanceCount,
    modalities,
    rules,
    targets,
    studyTaskId,
    routedAt,
    lastUpdate: undefined,
  };
}
