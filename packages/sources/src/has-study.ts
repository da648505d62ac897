import { DispatchError } from '@dicom-dispatch/core';
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';
import { sourceError } from './source-error.ts';

/**
 * Whether a source has a study now, stable or not. It is identified by its Orthanc id: a study whose patient was corrected
 * has another id and is another study, even with the same UID. A missing study counts only if Orthanc responds to the lookup.
 *
 * @throws DispatchError if the source cannot be queried
 */
export async function hasStudy(
  orthanc: OrthancClient,
  source: string,
  study: { readonly orthancStudyId: string; readonly studyInstanceUid: string | undefined },
  signal?: AbortSignal,
): Promise<boolean> {
  const options = signal ? { signal } : undefined;
  try {
    const found = await orthanc.lookup(study.studyInstanceUid ?? study.orthancStudyId, options);
    if (found.some(({ Type, ID }) => Type === 'Study' && ID === study.orthancStudyId)) return true;
  } catch (error) {
    if (!isNotFound(error)) throw sourceError(error, source);
    // Orthanc returns an empty list: this is another server, or a proxy.
    throw new DispatchError('source-error', `source ${source}: /tools/lookup is not there`, { cause: error });
  }
  try {
    return await orthanc.studies.exists(study.orthancStudyId, options);
  } catch (error) {
    throw sourceError(error, source);
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof OrthancError && error.code === 'not-found';
}
