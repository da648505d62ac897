import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { CacheWarning } from '../intermediate/index.ts';
import { closeCache, configureCache, getCache, openCache, type PlainCacheOptions } from './index.ts';

let server: RedisServer;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
});
afterEach(closeCache);
afterAll(() => server.stop());

it('has one default cache, which a later call replaces', async () => {
  expect(getCache).toThrow(/configureCache/);
  const first = await configureCache({ redis: server.url });
  expect(getCache()).toBe(first);
  await first.put('size', 'a', Buffer.from('1'));
  const second = await configureCache({ redis: server.url, maxAgeMs: 0 });
  expect(getCache()).toBe(second);
  expect((await getCache().get('size', 'a'))?.bytes.toString()).toBe('1');
  await closeCache();
  expect(getCache).toThrow(/configureCache/);
});

it('keeps confidential results with a secret, and reads them after the secret was replaced', async () => {
  const warnings: CacheWarning[] = [];
  const onWarning = (warning: CacheWarning): void => void warnings.push(warning);
  const confidential = { confidential: true };
  await using without = await openCache({ redis: server.url, prefix: '{a}', onWarning });
  expect(await without.put('report', 'a', Buffer.from('x'), confidential)).toBe('dropped');
  expect(warnings.map(({ code }) => code)).toEqual(['not-confidential']);
  await using before = await openCache({ redis: server.url, prefix: '{a}', secret: 'old' });
  expect(await before.put('report', 'a', Buffer.from('x'), confidential)).toBe('stored');
  await using after = await openCache({ redis: server.url, prefix: '{a}', secret: ['new', 'old'] });
  expect((await after.get('report', 'a'))?.bytes.toString()).toBe('x');
});

it('leaves a given connection open, and accepts ages and budgets as numbers', async () => {
  const redis = new Redis(server.url);
  try {
    const types = { report: { retention: 'persistent', maxAgeMs: 5_000, compression: false } } as const;
    const cache = await openCache({ redis, maxMemoryBytes: 1_000, types });
    expect(cache.policyFor('report')).toEqual({ retention: 'persistent', maxAgeMs: 5_000, compression: false });
    expect((await cache.stats())?.maxBytes).toBe(1_000);
    await cache.close();
    expect(await redis.ping()).toBe('PONG');
  } finally {
    redis.disconnect();
  }
});

it.each<[Partial<PlainCacheOptions>, string]>([
  [{ maxMemoryBytes: -1 }, 'maxMemoryBytes: -1 cannot be used. Expected: a whole number; 0 = no limit.'],
  [{ maxAgeMs: 1.5 }, 'maxAgeMs: 1.5 cannot be used. Expected: a whole number; 0 = no limit.'],
  [{ redis: 'localhost' }, 'redis: "localhost" cannot be used. Expected: redis://HOST:PORT.'],
  [{ redis: 'http://anna:hidden@host' }, 'redis: "…@host" cannot be used. Expected: redis://HOST:PORT.'],
  [{ redis: 'default:hidden@redis:6379' }, 'redis: "…@redis:6379" cannot be used. Expected: redis://HOST:PORT.'],
  [{ redis: 'http://anna:two\nlines@host' }, 'redis: "…@host" cannot be used. Expected: redis://HOST:PORT.'],
  [{ secret: '' }, 'secret: "" cannot be used. Expected: a text that is not empty.'],
  [{ folder: '' }, 'folder: "" cannot be used. Expected: a path.'],
  [
    { types: { report: { retention: 'forever' as 'cached' } } },
    'types.report.retention: "forever" cannot be used. Expected: one of transient, cached, persistent.',
  ],
])('refuses %j by name', async (options, message) => {
  await expect(openCache({ redis: server.url, ...options })).rejects.toThrow(new TypeError(message));
});
