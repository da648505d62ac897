import type { IntermediateCache } from '@dicom-dispatch/cache/intermediate';

const everyMs = 600_000;

/**
 * Periodically removes expired results from the cache, and unknown files from its folder: the router that leads a source does
 * this for Redis, and each dispatcher for its folder.
 *
 * @param cache - undefined while this process is not responsible
 */
export function startPruning(cache: () => IntermediateCache | undefined, intervalMs = everyMs): { stop(): void } {
  const timer = setInterval(() => void cache()?.prune(), intervalMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
