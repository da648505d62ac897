import type { Redis } from '@dicom-dispatch/runtime';
import type { Queue } from 'bullmq';

/**
 * Wakes a worker that waits for a job: one that waits because of a limit does not notice that it was raised. The
 * worker that gets a job wakes the next one.
 */
export async function wakeWorkers(redis: Redis, queue: Queue): Promise<void> {
  await redis.zadd(queue.toKey('marker'), 0, '0');
}
