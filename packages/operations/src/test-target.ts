import { resolveTarget } from '@dicom-dispatch/targets';
import type { Check } from '@dicom-dispatch/target-kit';
import { OperationError, type PipelineContext } from '@dicom-dispatch/pipeline';
import { createTargetMemory } from '@dicom-dispatch/state/target-memory';

const longestMs = 60_000;

/**
 * Runs the checks of a target sequentially, and yields each when it ends. With `redis`, the folder of the target is also compared
 * with the one with which it was set up.
 *
 * @throws OperationError `not-found`
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
