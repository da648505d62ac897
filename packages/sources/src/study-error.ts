import { DispatchError, type Stage } from '@dicom-dispatch/core';
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';
import { sourceError } from './source-error.ts';

/**
 * What a failure to read a study means. `source-gone` only when Orthanc itself says that it does not have the study: a 404 of a
 * proxy, and one for a part of a study that is there, says nothing of the kind. It is no proof yet, see `proveGone`.
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
