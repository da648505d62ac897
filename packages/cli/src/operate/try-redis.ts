import type { Config } from '@dicom-dispatch/core';
import { findEmbeddedRedis, namesRedis, openRedis, type Redis } from '@dicom-dispatch/runtime';

export const connectWithinMs = 1_000;

/** The Redis of the system, for commands that can work without it; undefined if it does not respond. */
export async function tryRedis(config: Config): Promise<Redis | undefined> {
  try {
    const place = namesRedis(config.redis) ? config.redis : await findEmbeddedRedis(config.redis.dataFolder);
    return place === undefined ? undefined : await openRedis(place, 'cli', connectWithinMs);
  } catch {
    return undefined;
  }
}
