import type { RedisClock } from './redis-clock.ts';

/**
 * From now on `Date.now()` of this process returns the time of Redis. BullMQ uses it in many places, e.g. for due jobs: a
 * host with a wrong clock would start them early, or postpone them for a day (docs/decisions/0017-one-clock.md).
 *
 * @returns a function that ends it
 */
export function useRedisTime(clock: RedisClock): () => void {
  const before = Date.now;
  Date.now = clock.now;
  return () => {
    if (Date.now === clock.now) Date.now = before;
  };
}
