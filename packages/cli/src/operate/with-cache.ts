import { IntermediateCache } from '@dicom-dispatch/cache/intermediate';
import type { Config } from '@dicom-dispatch/core';
import { connectWithinMs, tryRedis } from './try-redis.ts';

/**
 * Runs a function with the cache of search results. Without a secret such results are not stored, and without
 * Redis there is no cache.
 */
export async function withCache<T>(
  config: Config,
  act: (cache: IntermediateCache | undefined) => Promise<T>,
): Promise<T> {
  const mayKeep = config.cache.enabled && config.cache.secret !== undefined;
  const redis = mayKeep ? await tryRedis(config) : undefined;
  if (!redis) return act(undefined);
  // The cache handles a connection that fails later.
  redis.on('error', () => {});
  try {
    const { prefix } = config.redis;
    const settings = { ...config.cache, folder: undefined };
    return await act(await IntermediateCache.open(redis, settings, { prefix, timeoutMs: connectWithinMs }));
  } finally {
    redis.disconnect();
  }
}
