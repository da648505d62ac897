import { resolveTarget } from '@dicom-dispatch/targets';
import type { Check } from '@dicom-dispatch/target-kit';
import { OperationError, type PipelineContext } from '@dicom-dispatch/pipeline';
import { createTargetMemory } from '@dicom-dispatch/state/target-memory';

const longestMs = 60_000;

/**
 * Runs the checks of a target one after another, and gives each as it ends. With a Redis, what deliveries keep with the target
 * is compared too: whether its folder is still the one that it was set up with.
 */
export async function* testTarget(
  context: Pick<PipelineContext, 'config'> & Partial<Pick<PipelineContext, 'redis'>>,
  target: string,
  signal?: AbortSignal,
): AsyncGenerator<Check> {
  const configured = context.config().targets[target];
  if (!configured) throw new OperationError('not-found', `there is no target "${target}"`);
  const { config, handler } = await resolveTarget(target, configured);
  const limit = AbortSignal.timeout(longestMs);
  const { redis } = context;
  yield* handler.testConnection({
    config,
    targetName: target,
    ...(redis && { memory: createTargetMemory(redis, context.config().redis.prefix, target) }),
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  });
}
