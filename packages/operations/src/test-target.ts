import { resolveTarget } from '@dicom-dispatch/targets';
import type { Check } from '@dicom-dispatch/targets/contract';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { OperationError } from '@dicom-dispatch/pipeline';

const longestMs = 60_000;

/** Runs the checks of a target one after another, and gives each as it ends. */
export async function* testTarget(
  context: Pick<PipelineContext, 'config'>,
  target: string,
  signal?: AbortSignal,
): AsyncGenerator<Check> {
  const configured = context.config().targets[target];
  if (!configured) throw new OperationError('not-found', `there is no target "${target}"`);
  const { config, handler } = await resolveTarget(target, configured);
  const limit = AbortSignal.timeout(longestMs);
  yield* handler.testConnection({
    config,
    targetName: target,
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  });
}
