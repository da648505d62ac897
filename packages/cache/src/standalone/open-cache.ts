import { cacheConfig, retentions, Secret, type CacheConfig } from '@dicom-dispatch/core';
import type { RedisClient } from '@dicom-dispatch/state/redis';
import { Redis } from 'ioredis';
import { IntermediateCache, type CacheOptions } from '../intermediate/intermediate-cache.ts';
import type { CachePolicy } from '../intermediate/policy.ts';

/** The section `cache` of a configuration in plain values, for programs that have no configuration. */
export interface PlainCacheOptions extends CacheOptions {
  /** URL of Redis (`redis://localhost:6379`), or a connection of ioredis that remains the caller's. */
  readonly redis: string | RedisClient;
  /** Maximum memory in Redis. 0 = no limit; default 256,000,000. */
  readonly maxMemoryBytes?: number;
  /** Maximum age of results of types without their own. 0 = no limit; default one day. */
  readonly maxAgeMs?: number;
  /** Compress results if this makes them smaller. Default true. */
  readonly compression?: boolean;
  /** Deviations for single types of results. */
  readonly types?: Readonly<Record<string, Partial<CachePolicy>>>;
  /** Folder for large results, on this machine or shared: its path, or with a maximum size (default 20 GB). */
  readonly folder?: string | { readonly path: string; readonly maxSizeBytes?: number };
  /** Encrypts confidential results in Redis. A list to rotate it: the first for new results, all to read. */
  readonly secret?: string | readonly string[];
}

/**
 * Opens a cache without a configuration. A connection that it creates itself is closed by `close()`. Warnings are passed to
 * `onWarning`, by default to `process.emitWarning`.
 *
 * @throws {TypeError} naming the option, its value and the expected one
 */
export async function openCache(options: PlainCacheOptions): Promise<IntermediateCache> {
  const { redis, prefix, timeoutMs, maxValueBytes, fileAboveBytes, computeLeaseMs } = options;
  const config = configOf(options);
  const own = typeof redis === 'string' ? connect(redis) : undefined;
  const { onWarning = ({ code, message }) => process.emitWarning(message, { type: 'CacheWarning', code }) } = options;
  return IntermediateCache.open(own ?? (redis as RedisClient), config, {
    ...(prefix !== undefined && { prefix }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(maxValueBytes !== undefined && { maxValueBytes }),
    ...(fileAboveBytes !== undefined && { fileAboveBytes }),
    ...(computeLeaseMs !== undefined && { computeLeaseMs }),
    ...(own && { onClose: () => own.disconnect() }),
    onWarning,
  });
}

function connect(url: string): Redis {
  if (!/^rediss?:\/\/./.test(url)) throw invalid('redis', url.replace(/^.*@/s, '…@'), 'redis://HOST:PORT');
  const redis = new Redis(url);
  // Every call that fails is reported as a warning.
  redis.on('error', () => {});
  return redis;
}

function configOf(options: PlainCacheOptions): CacheConfig {
  const { maxMemoryBytes, maxAgeMs, compression, types = {}, folder, secret } = options;
  const usual = cacheConfig.parse({});
  const place = typeof folder === 'string' ? { path: folder } : folder;
  if (place?.path === '') throw invalid('folder', '', 'a path');
  const keys = secret === undefined ? [] : [secret].flat();
  if (keys.includes('')) throw invalid('secret', '', 'a text that is not empty');
  return {
    ...usual,
    maxMemory: whole('maxMemoryBytes', maxMemoryBytes) ?? usual.maxMemory,
    maxAge: whole('maxAgeMs', maxAgeMs) ?? usual.maxAge,
    compression: compression ?? usual.compression,
    types: Object.fromEntries(Object.entries(types).map(([name, policy]) => [name, policyOf(name, policy)])),
    ...(place && {
      folder: { path: place.path, maxSize: whole('folder.maxSizeBytes', place.maxSizeBytes) ?? 20_000_000_000 },
    }),
    ...(keys.length > 0 && { secret: keys.map((key) => new Secret(key)) }),
  };
}

function policyOf(
  name: string,
  { retention, maxAgeMs, compression }: Partial<CachePolicy>,
): CacheConfig['types'][string] {
  if (retention !== undefined && !retentions.includes(retention)) {
    throw invalid(`types.${name}.retention`, retention, `one of ${retentions.join(', ')}`);
  }
  return {
    ...(retention !== undefined && { retention }),
    ...(maxAgeMs !== undefined && { maxAge: whole(`types.${name}.maxAgeMs`, maxAgeMs) }),
    ...(compression !== undefined && { compression }),
  };
}

function whole(name: string, value: number | undefined): number | undefined {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0)) {
    throw invalid(name, value, 'a whole number; 0 = no limit');
  }
  return value;
}

function invalid(name: string, value: unknown, expected: string): TypeError {
  return new TypeError(`${name}: ${JSON.stringify(value)?.slice(0, 100)} cannot be used. Expected: ${expected}.`);
}
