import { OperationError, type PipelineContext } from '@dicom-dispatch/pipeline';
import { tryPutOffNow } from '@dicom-dispatch/state/feed';

/**
 * Makes unreadable studies of a source due now; the router that leads the source tries them within a second.
 *
 * @param orthancStudyId - undefined: all of the source
 * @returns their number
 * @throws OperationError `not-found` if the source does not exist, or the study is not postponed; `conflict` if the
 *   source is disabled
 */
export async function tryStudiesNow(
  { redis, config }: PipelineContext,
  source: string,
  orthancStudyId?: string,
): Promise<number> {
  const configured = config().sources[source];
  if (configured === undefined) throw new OperationError('not-found', `there is no source "${source}"`);
  if (!configured.enabled)
    throw new OperationError('conflict', `the source ${source} is disabled: its studies are read when it is enabled`);
  const tried = await tryPutOffNow(redis, config().redis.prefix, source, orthancStudyId);
  if (tried === 0 && orthancStudyId !== undefined) {
    throw new OperationError('not-found', `the study ${orthancStudyId} of ${source} is not postponed`);
  }
  return tried;
}
