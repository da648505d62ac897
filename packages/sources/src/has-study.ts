import { DispatchError } from '@dicom-dispatch/core';
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';
import { sourceError } from './source-error.ts';

/**
 * Whether a source has a study now, stable or not. It is looked for by Orthanc's id: a study whose patient was corrected has
 * another id and is another study, whatever its UID. That it is not there is believed only where Orthanc answers the look-up.
 *
 * @throws DispatchError when the source cannot be asked
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
    // Orthanc answers with an empty list: this is something else, or something in front of it.
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
