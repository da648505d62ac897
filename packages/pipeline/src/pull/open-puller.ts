import type { TargetConfig } from '@dicom-dispatch/core';
import { resolveTarget } from '@dicom-dispatch/targets';
import type { CheckContext, Puller } from '@dicom-dispatch/target-kit';
import type { PipelineContext } from '../context.ts';
import { OperationError } from '../operation-error.ts';

/**
 * The part of a target's handler that can find and retrieve.
 *
 * @throws OperationError if the target does not exist, or its type does not support this
 */
export async function openPuller(
  context: Pick<PipelineContext, 'config'>,
  target: string,
): Promise<Omit<CheckContext<TargetConfig>, 'signal'> & { readonly puller: Puller<TargetConfig> }> {
  const configured = context.config().targets[target];
  if (!configured) throw new OperationError('not-found', `there is no target "${target}"`);
  const { config, handler } = await resolveTarget(target, configured);
  if (handler.pull) return { puller: handler.pull, config, targetName: target };
  throw new OperationError('invalid', `a target of type ${config.type} cannot be searched: "${target}"`);
}
