import { Cluster, Redis } from 'ioredis';
import type { Logger } from '../logging/create-logger.ts';
import { batchWrites } from './batch-writes.ts';
import { addressOf, redisOptions, type RedisWait, type RedisPlace } from './redis-options.ts';

export type { Redis } from 'ioredis';

/**
 * A connection that waits for Redis without a time limit: commands are queued while it is unavailable, and every
 * service continues afterwards. One line reports that it is unavailable, and one that it is available again.
 *
 * @throws RedisPlaceError if a file of its TLS section cannot be used
 */
export function connectRedis(place: RedisPlace, name: string, log: Logger): Redis {
  const redis = create(place, `dicom-dispatch-${name}`, 'waits');
  let away = false;
  redis.on('error', (error: NodeJS.ErrnoException) => {
    if (away) return;
    away = true;
    log.error(
      { address: addressOf(place), reason: reasonOf(error) },
      'Redis cannot be used; trying again until it can',
    );
  });
  redis.on('ready', () => {
    if (away) log.info({ address: addressOf(place) }, 'Redis can be used again');
    away = false;
  });
  return redis;
}

/**
 * A short-lived connection: established when this resolves, and not reconnected when it ends.
 *
 * @throws Error with the reason why Redis could not be reached, within `withinMs`
 */
export async function openRedis(place: RedisPlace, name: string, withinMs: number): Promise<Redis> {
  const redis = create(place, `dicom-dispatch-${name}`, 'fails');
  let reason = '';
  redis.on('error', (error: NodeJS.ErrnoException) => (reason = reasonOf(error)));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${withinMs / 1_000} s`)), withinMs);
  });
  try {
    await Promise.race([redis.connect(), late]);
    return redis;
  } catch (error) {
    redis.disconnect();
    throw new Error(reason || (error as Error).message, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A Cluster is used as one Redis: all our keys are in one slot, and commands, pipelines, transactions, scripts,
 * channels and duplicates of ioredis' Cluster work like those of its Redis.
 */
function create(place: RedisPlace, connectionName: string, wait: RedisWait): Redis {
  const plan = redisOptions(place, connectionName, wait);
  const redis = open(plan);
  batchWrites(redis);
  return redis;
}

function open(plan: ReturnType<typeof redisOptions>): Redis {
  if (plan.kind === 'cluster') return new Cluster(plan.members, plan.options) as unknown as Redis;
  return plan.url === undefined ? new Redis(plan.options) : new Redis(plan.url, plan.options);
}

/** The masters behind a connection, by address: one, or those of a Cluster. */
export function mastersOf(redis: Redis): { readonly address: string; readonly redis: Redis }[] {
  if (!(redis instanceof Cluster)) return [{ address: '', redis }];
  return (redis as Cluster).nodes('master').map((master) => ({
    address: `${master.options.host ?? ''}:${master.options.port ?? ''}`,
    redis: master,
  }));
}

function reasonOf(error: NodeJS.ErrnoException & { readonly lastNodeError?: NodeJS.ErrnoException }): string {
  // A Cluster only reports that no member responds; the reason is in the last one's response.
  const cause: NodeJS.ErrnoException = error.lastNodeError ?? error;
  const reason = cause.code ?? cause.message;
  return refusals.find(([sign]) => sign.test(reason))?.[1] ?? reason;
}

/** Responses of a Redis that rejects the login, with remedies. */
const refusals: readonly (readonly [RegExp, string])[] = [
  // The name differs between versions of OpenSSL; the remedy is the same.
  [/CERTIFICATE_REQ/, 'it asks for a client certificate: set redis.tls.cert and redis.tls.key'],
  [/^WRONGPASS/, 'it refuses the user or the password: correct redis.username and redis.password'],
  [/^NOAUTH/, 'it asks for a password: set redis.password'],
  [/^DENIED/, 'it is in protected mode: set requirepass, or an ACL user, and redis.password'],
  [
    /^(EPIPE|ECONNRESET)$/,
    'the connection was closed: check protected-mode and maxclients of Redis, and whether it needs TLS (rediss://)',
  ],
  [/unknown command '?info/i, 'it has no INFO: remove "rename-command INFO" from its configuration'],
  [/^NOPERM/, 'the user has no permission for a required command: see the ACL in docs/redis.md'],
];
