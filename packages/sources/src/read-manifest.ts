import type { ManifestInstance } from '@dicom-dispatch/core';
import type { OrthancClient, StudyInstance } from '@dicom-dispatch/orthanc';
import { withFileHeads } from './read-file-heads.ts';
import { studyError } from './study-error.ts';

/**
 * The current instances of a study in the source, by series and instance number.
 *
 * @throws DispatchError `source-gone` if the study no longer exists
 */
export async function readManifest(
  orthanc: OrthancClient,
  study: { readonly source: string; readonly orthancStudyId: string; readonly studyInstanceUid: string },
  signal?: AbortSignal,
): Promise<ManifestInstance[]> {
  try {
    const instances = await orthanc.studyInstances(study.orthancStudyId, signal ? { signal } : undefined);
    return toManifest(await withFileHeads(orthanc, instances, signal), study.studyInstanceUid);
  } catch (error) {
    throw await studyError(error, orthanc, study, 'manifest', signal);
  }
}

/** The instances of a complete study as listed by Orthanc, as manifest entries. */
export function toManifest(instances: readonly StudyInstance[], studyInstanceUid: string): ManifestInstance[] {
  const counts = new Map<string, number>();
  for (const { sopInstanceUid: uid } of instances) counts.set(uid, (counts.get(uid) ?? 0) + 1);
  return instances.map((instance) => {
    const shown = toManifestInstance(instance, studyInstanceUid);
    return (counts.get(shown.sopInstanceUid) ?? 0) > 1 ? { ...shown, sharesSopInstanceUid: true } : shown;
  });
}

/** One instance as listed by Orthanc, in the terms of this project. */
export function toManifestInstance(instance: StudyInstance, studyInstanceUid: string): ManifestInstance {
  return {
    sopInstanceUid: instance.sopInstanceUid,
    seriesInstanceUid: instance.seriesInstanceUid,
    studyInstanceUid,
    sopClassUid: instance.sopClassUid,
    transferSyntaxUid: instance.transferSyntaxUid,
    instanceNumber: instance.instanceNumber,
    sizeBytes: instance.fileSizeBytes,
    fileUuid: instance.fileUuid,
    sourceId: instance.id,
    // Orthanc has no version of an instance; overwriting one sets a new reception date, and mostly another size.
    version: `${instance.receptionDate ?? ''}/${instance.fileSizeBytes}`,
  };
}
