import type { Redis } from '@dicom-dispatch/runtime';
import type { Queue } from 'bullmq';

/**
 * Lets a worker that waits for a job look again: one that waits because of a limit does not notice that it was raised. The
 * worker that gets a job lets the next one look.
 */
export async function wakeWorkers(redis: Redis, queue: Queue): Promise<void> {
  await redis.zadd(queue.toKey('marker'), 0, '0');
}
