import type { Worker } from 'bullmq';
import type { Redis } from 'ioredis';

/**
 * Closes a worker once its jobs have ended; without Redis at once, for then no job can end, and BullMQ would wait for a
 * connection that never comes. It has no bound of its own: Redis may go away while it is closed.
 */
export function closeWorker(worker: Worker, redis: Redis): Promise<void> {
  return worker.close(redis.status !== 'ready');
}
