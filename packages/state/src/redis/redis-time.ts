import type { RedisClient } from './redis-client.ts';
import { defineScript } from './script.ts';

/** KEYS: any key of the prefix, which selects the node of a Cluster. */
const script = defineScript(`return {redis.call('TIME'), KEYS[1]}`);

/** The clock that all processes share (ms since 1970): use it instead of a local clock for due times, circuits and ages. */
export async function redisNow(redis: RedisClient, prefix: string): Promise<number> {
  const [time] = (await script.run(redis, [`${prefix}:format`], [])) as [[string, string]];
  return msOfTime(time);
}

/** The reply of TIME, seconds and microseconds, in ms since 1970. */
export function msOfTime([seconds, microseconds]: readonly (string | number)[]): number {
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}
