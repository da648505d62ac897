import { defineScript } from '@dicom-dispatch/state/redis';
import type { Redis } from '@dicom-dispatch/runtime';
import type { Queue } from 'bullmq';

/**
 * A study task waits for its children through a set of keys that BullMQ maintains. If a child was removed or added again
 * without BullMQ, the set never becomes empty.
 * KEYS: waiting-children, wait, marker, events, job, its dependencies. ARGV: id
 */
const script = defineScript(`
if redis.call('EXISTS', KEYS[5]) == 0 then return 0 end
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[6])
redis.call('LPUSH', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], 0, '0')
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 10000, '*', 'event', 'waiting', 'jobId', ARGV[1], 'prev', 'waiting-children')
return 1
`);

/** Starts a study task that waits for deliveries according to BullMQ. @returns false if it does not wait */
export async function releaseParent(redis: Redis, queue: Queue, id: string): Promise<boolean> {
  const keys = ['waiting-children', 'wait', 'marker', 'events'].map((name) => queue.toKey(name));
  const job = queue.toKey(id);
  return (await script.run(redis, [...keys, job, `${job}:dependencies`], [id])) === 1;
}

/** Ids of study tasks that wait for their deliveries, the oldest first, from a position on. */
export async function waitingParents(redis: Redis, queue: Queue, from: number, limit: number): Promise<string[]> {
  return redis.zrange(queue.toKey('waiting-children'), String(from), String(from + limit - 1));
}
