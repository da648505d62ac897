import { Secret, type Config } from '@dicom-dispatch/core';
import { Redis } from 'ioredis';
import type { Logger } from '../logging/create-logger.ts';

export type { Redis } from 'ioredis';

/**
 * A connection that waits for Redis as long as it takes: commands queue while it is away, and every service goes on
 * where it was. One clear line says that it is away, and one that it is back.
 */
export function connectRedis(url: string, name: string, log: Logger): Redis {
  const redis = new Redis(url, {
    connectionName: `dicom-dispatch-${name}`,
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(100 * 2 ** Math.min(times, 5), 2_000),
  });
  let away = false;
  redis.on('error', (error: NodeJS.ErrnoException) => {
    if (away) return;
    away = true;
    log.error(
      { address: addressOf(url), reason: error.code ?? error.message },
      'Redis is not reachable; trying again until it is',
    );
  });
  redis.on('ready', () => {
    if (away) log.info({ address: addressOf(url) }, 'Redis is reachable again');
    away = false;
  });
  return redis;
}

export function redisUrlOf(config: Config): string | undefined {
  const { url } = config.redis;
  return url instanceof Secret ? url.reveal() : url;
}

/** Host and port of a Redis URL, without credentials. */
export function addressOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return 'the configured URL';
  }
}
