import type { RedisClient } from './redis-client.ts';
import { defineScript } from './script.ts';

/** KEYS: any key of ours, which says what node of a Cluster is asked. */
const script = defineScript(`return {redis.call('TIME'), KEYS[1]}`);

/** The clock that all processes share (ms since 1970): due times, circuits and ages go by it, never by a local one. */
export async function redisNow(redis: RedisClient, prefix: string): Promise<number> {
  const [time] = (await script.run(redis, [`${prefix}:format`], [])) as [[string, string]];
  return msOfTime(time);
}

/** The answer of TIME, seconds and microseconds, in milliseconds. */
export function msOfTime([seconds, microseconds]: readonly (string | number)[]): number {
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}
