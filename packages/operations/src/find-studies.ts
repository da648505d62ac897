import { resolveTarget } from '@dicom-dispatch/targets';
import type { CheckContext, FindQuery, FoundStudy, Puller } from '@dicom-dispatch/targets/contract';
import type { TargetConfig } from '@dicom-dispatch/core';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { OperationError } from '@dicom-dispatch/pipeline';
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

/** The part of a target's handler that can find and retrieve. */
export async function openPuller(
  context: Pick<PipelineContext, 'config'>,
  target: string,
): Promise<Omit<CheckContext<TargetConfig>, 'signal'> & { readonly puller: Puller<TargetConfig> }> {
  const configured = context.config().targets[target];
  if (!configured) throw new OperationError('not-found', `there is no target "${target}"`);
  const { config, handler } = await resolveTarget(target, configured);
  if (handler.pull) return { puller: handler.pull, config, targetName: target };
  throw new OperationError('invalid', `a target of type ${config.type} can be sent to, but not asked: "${target}"`);
}
