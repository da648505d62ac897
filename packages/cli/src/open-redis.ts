import type { Config } from '@dicom-dispatch/core';
import { FormatError, openFormat } from '@dicom-dispatch/state/keys';
import {
  checkRedis,
  connectRedis,
  namesRedis,
  RedisPlaceError,
  startEmbeddedRedis,
  type EmbeddedRedis,
  type Logger,
  type Redis,
  type RedisPlace,
} from '@dicom-dispatch/runtime';
import { CommandError, exitCodes } from './exit.ts';

/**
 * Starts the embedded Redis; undefined if the configuration names a Redis.
 *
 * @param isWhole - whether this process runs all services
 * @throws CommandError if it does not: separate processes need a common Redis
 */
export async function embeddedRedis(
  config: Config,
  isWhole: boolean,
  log: Logger,
  signal: AbortSignal,
): Promise<EmbeddedRedis | undefined> {
  if (namesRedis(config.redis)) return undefined;
  if (!isWhole) {
    throw new CommandError(
      'redis.url is not set, nor redis.sentinel or redis.cluster: services that run as separate processes share one Redis, so set it',
      exitCodes.usage,
    );
  }
  const embedded = await startEmbeddedRedis(config.redis.dataFolder, signal);
  log.info({ folder: config.redis.dataFolder }, 'the embedded Redis is running');
  return embedded;
}

/** @throws CommandError if the address cannot be used */
export function connectPlace(place: RedisPlace, name: string, log: Logger): Redis {
  try {
    return connectRedis(place, name, log);
  } catch (error) {
    if (error instanceof RedisPlaceError) throw new CommandError(error.message, exitCodes.usage, { cause: error });
    throw error;
  }
}

/** Waits for Redis without a time limit. @throws CommandError if it would lose data, or the signal is aborted */
export async function untilFit(redis: Redis, log: Logger, signal: AbortSignal): Promise<void> {
  await untilReady(redis, signal);
  // Each reconnection repeats the check, e.g. while a replica rejects writes: a message is logged once.
  const logged = new Set<string>();
  await check(redis, log, logged);
  // After a failover another server responds, which may be configured differently.
  redis.on('ready', () => {
    void check(redis, log, logged).catch((error: Error) =>
      log.error({ reason: error.message }, 'Redis does not meet the requirements'),
    );
  });
}

/** Migrates the data in Redis to the format of this version. @throws CommandError if they are of a newer format */
export async function prepareFormat(redis: Redis, prefix: string, log: Logger): Promise<void> {
  try {
    await openFormat(redis, prefix, {
      onStep: ({ to, what }) => log.info({ format: to, step: what }, 'migrating the data in Redis'),
      onDamaged: (key) => log.warn({ key }, 'record is damaged and was not migrated'),
      onMoreDamaged: () => log.warn('further records are damaged and were not migrated'),
    });
  } catch (error) {
    if (error instanceof FormatError) throw new CommandError(error.message, exitCodes.failed, { cause: error });
    throw error;
  }
}

/** @param logged - messages that are already in the log */
async function check(redis: Redis, log: Logger, logged: Set<string>): Promise<void> {
  for (const { severity, message } of await checkRedis(redis)) {
    if (severity === 'refused') throw new CommandError(`Redis cannot be used: ${message}`);
    if (logged.has(message)) continue;
    logged.add(message);
    log.warn({ finding: message }, 'Redis is not configured as recommended');
  }
}

/** Waits until the connection is established, regardless of errors. */
function untilReady(redis: Redis, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(new CommandError('stopped before Redis was available'));
    if (signal.aborted) giveUp();
    else if (redis.status === 'ready') resolve();
    redis.once('ready', resolve);
    signal.addEventListener('abort', giveUp, { once: true });
  });
}
