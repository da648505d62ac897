import { DispatchError, type Stage } from '@dicom-dispatch/core';
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';
import { sourceError } from './source-error.ts';

/**
 * Meaning of a failure to read a study. `source-gone` only if Orthanc itself reports that it does not have the study: a 404
 * of a proxy, or for a part of an existing study, does not mean this. It is no proof yet, see `proveGone`.
 */
export async function studyError(
  thrown: unknown,
  orthanc: OrthancClient,
  study: { readonly source: string; readonly orthancStudyId: string },
  stage: Stage,
  signal?: AbortSignal,
): Promise<unknown> {
  const { source, orthancStudyId } = study;
  if (!(thrown instanceof OrthancError) || thrown.code !== 'not-found') return sourceError(thrown, source, stage);
  try {
    if (await orthanc.studies.exists(orthancStudyId, signal ? { signal } : undefined)) {
      return new DispatchError('source-error', `source ${source}: ${thrown.message}, but the study is there`, {
        cause: thrown,
        stage,
      });
    }
  } catch (error) {
    return sourceError(error, source, stage);
  }
  return new DispatchError('source-gone', `source ${source}: the study no longer exists`, {
    cause: thrown,
    stage,
  });
}
