import { Cluster, type Redis } from 'ioredis';

/**
 * Commands issued in one iteration of the event loop are sent to Redis in one write, in their order: a write for each
 * command costs more than most commands do.
 */
export function batchWrites(redis: Redis): void {
  if (redis instanceof Cluster) {
    (redis as Cluster).on('+node', (member: Redis) => batchWrites(member));
    return;
  }
  // Each connection has a new stream.
  redis.on('connect', () => corkUntilImmediate(redis.stream));
}

function corkUntilImmediate(stream: Redis['stream']): void {
  const write = stream.write as (...args: unknown[]) => boolean;
  let isCorked = false;
  stream.write = ((...args: unknown[]) => {
    if (!isCorked) {
      isCorked = true;
      stream.cork();
      setImmediate(() => {
        isCorked = false;
        stream.uncork();
      });
    }
    return write.apply(stream, args);
  }) as typeof stream.write;
}
