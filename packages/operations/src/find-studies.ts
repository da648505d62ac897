import type { FindQuery, FoundStudy } from '@dicom-dispatch/target-kit';
import { openPuller, type PipelineContext } from '@dicom-dispatch/pipeline';
import { checkSearchKeys } from './check-search-keys.ts';

/** Searches a target, as far as its type can be searched. @throws OperationError, DispatchError */
export async function* findStudies(
  context: Pick<PipelineContext, 'config'>,
  target: string,
  query: FindQuery,
  signal: AbortSignal,
): AsyncGenerator<FoundStudy, void, undefined> {
  const { puller, ...checked } = await openPuller(context, target);
  checkSearchKeys(query);
  yield* puller.find(query, { ...checked, signal });
}
