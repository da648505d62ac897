import type { Redis } from '@dicom-dispatch/runtime';
import type { Queue } from 'bullmq';

/**
 * BullMQ ends only jobs that a worker has taken, and workers take none while their target is unreachable or paused.
 * Removing the job would make its study task treat everything as delivered. So the job is moved to where a worker would
 * have moved it.
 * KEYS: job, wait, paused, prioritized, delayed, failed, events
 * ARGV: id, now, reason
 */
const script = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local id = ARGV[1]
local taken = redis.call('LREM', KEYS[2], 0, id) + redis.call('LREM', KEYS[3], 0, id)
taken = taken + redis.call('ZREM', KEYS[4], id) + redis.call('ZREM', KEYS[5], id)
if taken == 0 then return 0 end
redis.call('HSET', KEYS[1], 'failedReason', ARGV[3], 'finishedOn', ARGV[2])
redis.call('ZADD', KEYS[6], ARGV[2], id)
redis.call('XADD', KEYS[7], 'MAXLEN', '~', 10000, '*', 'event', 'failed', 'jobId', id, 'failedReason', ARGV[3], 'prev', 'waiting')
return 1
`;

/**
 * Ends a job that no worker has taken yet as failed; it can be retried.
 *
 * @returns false if it is not waiting: a worker has it, it has ended, or it does not exist
 */
export async function endWaitingJob(queue: Queue, redis: Redis, jobId: string, reason: string): Promise<boolean> {
  const keys = ['wait', 'paused', 'prioritized', 'delayed', 'failed', 'events'].map((name) => queue.toKey(name));
  return (await redis.eval(script, 1 + keys.length, queue.toKey(jobId), ...keys, jobId, Date.now(), reason)) === 1;
}
