import { DispatchError } from '@dicom-dispatch/core';
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';
import { sourceError } from './source-error.ts';

/**
 * Whether a source has a study now, stable or not. It is looked for by its UID, since Orthanc's id is another one when the
 * patient's id was corrected; that it is not there is believed only when the id is not there either.
 *
 * @throws DispatchError when the source cannot be asked
 */
export async function hasStudy(
  orthanc: OrthancClient,
  source: string,
  study: { readonly studyInstanceUid: string; readonly orthancStudyId: string | undefined },
  signal?: AbortSignal,
): Promise<boolean> {
  const options = signal ? { signal } : undefined;
  try {
    const found = await orthanc.lookup(study.studyInstanceUid, options);
    if (found.some(({ Type }) => Type === 'Study')) return true;
  } catch (error) {
    if (!isNotFound(error)) throw sourceError(error, source);
    // Orthanc answers with an empty list: this is something else, or something in front of it.
    throw new DispatchError('source-error', `source ${source}: /tools/lookup is not there`, { cause: error });
  }
  if (study.orthancStudyId === undefined) return false;
  try {
    await orthanc.studies.read(study.orthancStudyId, options);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw sourceError(error, source);
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof OrthancError && error.code === 'not-found';
}
