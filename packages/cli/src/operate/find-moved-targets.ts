import type { Config } from '@dicom-dispatch/core';
import { findEmbeddedRedis, movedTargets, namesRedis, openRedis } from '@dicom-dispatch/runtime';

const connectWithinMs = 1_500;

/** Targets on which somebody has to decide when this configuration is in use; none where Redis does not answer. */
export async function findMovedTargets(config: Config): Promise<string[]> {
  try {
    const place = namesRedis(config.redis) ? config.redis : await findEmbeddedRedis(config.redis.dataFolder);
    if (place === undefined) return [];
    const redis = await openRedis(place, 'cli', connectWithinMs);
    try {
      return await movedTargets(redis, config);
    } finally {
      redis.disconnect();
    }
  } catch {
    return [];
  }
}
