import type { IntermediateCache } from '@dicom-dispatch/cache/intermediate';

const everyMs = 600_000;

/**
 * Takes expired results out of the cache now and then, with files of its folder that nothing knows any more: whoever
 * leads a source does it for Redis, and each dispatcher for its folder.
 *
 * @param cache - undefined while it is not for this process to do
 */
export function startPruning(cache: () => IntermediateCache | undefined, intervalMs = everyMs): { stop(): void } {
  const timer = setInterval(() => void cache()?.prune(), intervalMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
