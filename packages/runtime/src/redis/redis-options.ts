import { readFileSync } from 'node:fs';
import { Secret, type RedisConfig } from '@dicom-dispatch/core';
import type { ClusterOptions, RedisOptions } from 'ioredis';
import { ReconnectingSentinelConnector } from './sentinel-connector.ts';

/** Address of Redis: a URL, or the section `redis` of the configuration. */
export type RedisPlace = string | Partial<Omit<RedisConfig, 'url'> & { readonly url: string | Secret | undefined }>;

export class RedisPlaceError extends Error {
  override readonly name = 'RedisPlaceError';
}

/** How a connection behaves while Redis is unavailable. */
export type RedisWait = 'waits' | 'fails';

const portLimit = 65_536;

/** One server or, through Sentinel, the master of a group. */
export interface ServerPlan {
  readonly kind: 'server';
  readonly url: string | undefined;
  readonly options: RedisOptions;
}

export interface ClusterPlan {
  readonly kind: 'cluster';
  readonly members: { readonly host: string; readonly port: number }[];
  readonly options: ClusterOptions;
}

/**
 * Options of ioredis for an address.
 *
 * @throws RedisPlaceError with the name of the field, if a file cannot be read, or no address is set
 */
export function redisOptions(place: RedisPlace, connectionName: string, wait: RedisWait): ServerPlan | ClusterPlan {
  const redis = typeof place === 'string' ? { url: place } : place;
  const tls = redis.tls && tlsFiles(redis.tls);
  const waits = wait === 'waits';
  const shared = {
    connectionName,
    ...(redis.username !== undefined && { username: redis.username }),
    ...(redis.password && { password: redis.password.reveal() }),
    ...(tls && { tls }),
    // Commands wait for Redis without a time limit; a connection that may fail does not reconnect.
    maxRetriesPerRequest: null,
    // A master that has become a replica rejects writes: the connection moves to the current master, and writes again.
    reconnectOnError: (error: Error) => (waits && error.message.startsWith('READONLY') ? 2 : false),
  } satisfies RedisOptions;
  const retryStrategy = (times: number): number | null =>
    waits ? Math.min(100 * 2 ** Math.min(times, 5), 2_000) : null;

  if (redis.cluster) {
    return {
      kind: 'cluster',
      members: redis.cluster.map(parseAddress),
      options: {
        redisOptions: shared,
        lazyConnect: !waits,
        clusterRetryStrategy: retryStrategy,
        // A failover takes seconds: pending commands are repeated until then, for about half an hour.
        maxRedirections: waits ? 10_000 : 16,
        retryDelayOnFailover: 200,
        retryDelayOnClusterDown: 200,
        retryDelayOnTryAgain: 200,
        slotsRefreshTimeout: 5_000,
        // Host names are not resolved here: certificates contain names.
        ...(tls && { dnsLookup: (host, callback) => callback(null, host) }),
      },
    };
  }
  if (redis.sentinel) {
    const { name, addresses, username, password, tls: isEncrypted } = redis.sentinel;
    return {
      kind: 'server',
      url: undefined,
      options: {
        ...shared,
        sentinels: addresses.map(parseAddress),
        name,
        retryStrategy,
        sentinelRetryStrategy: retryStrategy,
        // A Sentinel that hangs must not hold up the others.
        sentinelCommandTimeout: 5_000,
        failoverDetector: waits,
        Connector: ReconnectingSentinelConnector,
        ...(username !== undefined && { sentinelUsername: username }),
        ...(password && { sentinelPassword: password.reveal() }),
        ...(tls && isEncrypted && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
        lazyConnect: !waits,
      },
    };
  }
  const url = redis.url instanceof Secret ? redis.url.reveal() : redis.url;
  if (url === undefined) throw new RedisPlaceError('redis: none of url, sentinel and cluster is set: set one');
  const options = { ...shared, retryStrategy, lazyConnect: !waits };
  const path = socketPath(url);
  // A path is not a URL: in a URL, a space, `#` or an accented letter would be changed.
  return path === undefined
    ? { kind: 'server', url, options }
    : { kind: 'server', url: undefined, options: { ...options, path } };
}

const socketScheme = 'unix://';

/** The path of a Unix socket, unchanged. */
function socketPath(url: string): string | undefined {
  return url.startsWith(socketScheme) ? url.slice(socketScheme.length) : undefined;
}

/** Whether the configuration names a Redis; otherwise the embedded one is used. */
export function namesRedis(redis: RedisConfig): boolean {
  return redis.url !== undefined || redis.sentinel !== undefined || redis.cluster !== undefined;
}

/** Hosts and ports of a place, without credentials. */
export function addressOf(place: RedisPlace): string {
  const redis = typeof place === 'string' ? { url: place } : place;
  if (redis.cluster) return redis.cluster.join(', ');
  if (redis.sentinel) return `${redis.sentinel.name} at ${redis.sentinel.addresses.join(', ')}`;
  try {
    const url = redis.url instanceof Secret ? redis.url.reveal() : (redis.url ?? '');
    return socketPath(url) ?? new URL(url).host;
  } catch {
    return 'the configured URL';
  }
}

function parseAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  const port = Number(address.slice(colon + 1));
  if (colon < 1 || !(port > 0 && port < portLimit))
    throw new RedisPlaceError(`redis: ${address} is no address: write HOST:PORT`);
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port };
}

function tlsFiles(tls: NonNullable<RedisConfig['tls']>): NonNullable<RedisOptions['tls']> {
  return {
    ...(tls.ca !== undefined && { ca: pem('ca', tls.ca) }),
    ...(tls.cert !== undefined && { cert: pem('cert', tls.cert) }),
    ...(tls.key !== undefined && { key: pem('key', tls.key) }),
    ...(tls.passphrase && { passphrase: tls.passphrase.reveal() }),
    ...(tls.serverName !== undefined && { servername: tls.serverName }),
  };
}

/** Reads a PEM file, synchronously: connections are created where nothing can be awaited. */
function pem(field: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new RedisPlaceError(`redis.tls.${field}: ${path} cannot be read (${code}): correct its name or permissions`, {
      cause: error,
    });
  }
  if (!text.includes('-----BEGIN '))
    throw new RedisPlaceError(`redis.tls.${field}: ${path} is not a PEM file: convert it`);
  return text;
}
