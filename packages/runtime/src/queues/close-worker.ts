import type { Worker } from 'bullmq';
import type { Redis } from 'ioredis';

/**
 * Closes a worker after its jobs have ended; without Redis immediately, because then no job can end, and BullMQ would
 * wait for a connection that is never established. It has no timeout: Redis may become unavailable while it is being
 * closed.
 */
export function closeWorker(worker: Worker, redis: Redis): Promise<void> {
  return worker.close(redis.status !== 'ready');
}
