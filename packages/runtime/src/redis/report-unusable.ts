import { setTimeout as delay } from 'node:timers/promises';
import { Cluster, type Redis } from 'ioredis';
import type { Logger } from '../logging/create-logger.ts';
import { parseInfo } from './read-info.ts';

const firstAfterMs = 10_000;
const maxPauseMs = 600_000;
const answerWithinMs = 3_000;

/**
 * Logs why a Redis that responds cannot be used: it is a replica, or loads its data. First after 10 s, then at growing
 * intervals, until `signal` aborts. A Redis that does not respond is logged by its connection.
 */
export async function reportUnusable(
  redis: Redis,
  log: Logger,
  signal: AbortSignal,
  firstMs = firstAfterMs,
): Promise<void> {
  for (let pauseMs = firstMs; ; pauseMs = Math.min(2 * pauseMs, maxPauseMs)) {
    await delay(pauseMs, undefined, { signal, ref: false }).catch(() => {});
    const reason = signal.aborted ? undefined : await whyUnusable(redis);
    if (signal.aborted) return;
    if (reason !== undefined) log.warn({ reason }, 'waiting for Redis');
  }
}

/** By a separate connection: that of a service sends nothing while Redis loads, and moves on when a write is rejected. */
async function whyUnusable(redis: Redis): Promise<string | undefined> {
  if (redis instanceof Cluster) return undefined;
  const probe = redis.duplicate({
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: answerWithinMs,
    commandTimeout: answerWithinMs,
  });
  probe.on('error', () => {});
  try {
    await probe.connect();
    const info = parseInfo(await probe.info());
    if (info.get('loading') === '1') return 'Redis is loading its data: wait until it is ready, or check its log';
    if (info.get('role') !== 'slave') return undefined;
    const master = `${info.get('master_host')}:${info.get('master_port')}`;
    return info.get('master_link_status') === 'up'
      ? `this Redis is a replica of ${master} and accepts no writes: set redis.url to the master, or use redis.sentinel`
      : `this Redis is a replica whose master ${master} does not answer: start the master, or make this Redis the master with REPLICAOF NO ONE`;
  } catch {
    return undefined;
  } finally {
    probe.disconnect();
  }
}
