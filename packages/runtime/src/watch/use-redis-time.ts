import type { RedisClock } from './redis-clock.ts';

/**
 * From now on `Date.now()` of this process is the time of Redis. BullMQ asks it in many places, e.g. which jobs are due: a
 * host whose clock is wrong would start them early, or put them off for a day (docs/decisions/0017-one-clock.md).
 *
 * @returns what ends it
 */
export function useRedisTime(clock: RedisClock): () => void {
  const before = Date.now;
  Date.now = clock.now;
  return () => {
    if (Date.now === clock.now) Date.now = before;
  };
}
