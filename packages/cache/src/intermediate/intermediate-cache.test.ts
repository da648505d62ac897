import { Redis } from 'ioredis';
import { startRedis, waitFor, type RedisServer } from '@dicom-dispatch/harness';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CacheWarning } from './cache-types.ts';
import { IntermediateCache, type CacheOptions } from './intermediate-cache.ts';
import { configOf, type CacheInput } from './testing.ts';

let server: RedisServer;
let redis: Redis;
let warnings: CacheWarning[] = [];

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  warnings = [];
});
afterEach(async () => {
  const cache = await open();
  const [stats, audit] = [await cache.stats(), await cache.audit()];
  expect(stats).toMatchObject({ entries: audit?.entries, bytes: audit?.bytes });
});

function open(config: CacheInput = {}, options: CacheOptions = {}): Promise<IntermediateCache> {
  return IntermediateCache.open(redis, configOf(config), {
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
}

const text = (length: number) => Buffer.alloc(length, 'study description ');

test('returns value, metadata and size; invalidate removes it', async () => {
  const cache = await open();
  expect(await cache.put('manifest', 'main/1.2', text(10_000), { metadata: { instances: 7 } })).toBe('stored');
  const found = await cache.get('manifest', 'main/1.2');
  expect(found).toMatchObject({ type: 'manifest', key: 'main/1.2', sizeBytes: 10_000, metadata: { instances: 7 } });
  expect(found?.bytes.equals(text(10_000))).toBe(true);
  expect(Date.now() - (found?.createdAt ?? 0)).toBeLessThan(60_000);
  expect(await cache.has('manifest', 'main/1.2')).toBe(true);
  expect(await cache.has('study', 'main/1.2')).toBe(false);
  expect(await cache.invalidate('manifest', 'main/1.2')).toBe(true);
  expect(await cache.invalidate('manifest', 'main/1.2')).toBe(false);
  expect(await cache.lookup('manifest', 'main/1.2')).toEqual({ state: 'miss' });
});

test('compression is for what it makes smaller, by type', async () => {
  const cache = await open({ types: { plain: { compression: false } } });
  await cache.put('manifest', 'a', text(10_000));
  await cache.put('plain', 'a', text(10_000));
  const stats = await cache.stats();
  expect(stats?.types['manifest']?.bytes).toBeLessThan(2_000);
  expect(stats?.types['plain']?.bytes).toBeGreaterThan(10_000);
  expect((await cache.get('plain', 'a'))?.bytes).toEqual(text(10_000));
});

test('policies: of the file, then of the type, then the defaults', async () => {
  const cache = await open({ maxAge: '2h', types: { query: { retention: 'persistent' }, thumbnails: { maxAge: 0 } } });
  expect(cache.policyFor('query')).toEqual({ retention: 'persistent', maxAgeMs: 600_000, compression: true });
  expect(cache.policyFor('thumbnails')).toEqual({ retention: 'cached', maxAgeMs: 0, compression: true });
  expect(cache.policyFor('manifest')).toEqual({ retention: 'cached', maxAgeMs: 7_200_000, compression: true });
  expect(cache.policyFor('transformed-instance').compression).toBe(false);
});

test('hits, misses and evictions are counted by type; clear takes one type or all', async () => {
  const cache = await open();
  await cache.put('manifest', 'a', text(10));
  await cache.put('study', 'a', text(10));
  await cache.get('manifest', 'a');
  await cache.get('manifest', 'a');
  await cache.get('manifest', 'b');
  await cache.get('query', 'b');
  expect(await cache.stats()).toMatchObject({
    entries: 2,
    hits: 2,
    misses: 2,
    hitRate: 0.5,
    types: { manifest: { entries: 1, hits: 2, misses: 1 }, study: { entries: 1 }, query: { misses: 1 } },
  });
  expect(await cache.clear('study')).toBe(1);
  expect(await cache.clear()).toBe(1);
  expect(await cache.stats()).toMatchObject({ entries: 0, bytes: 0 });
});

test('an expired result is reported once, and takes no space', async () => {
  const cache = await open({ types: { brief: { maxAge: '1ms' } } });
  await cache.put('brief', 'a', text(10));
  await waitFor(async () => !(await cache.has('brief', 'a')));
  expect(await cache.lookup('brief', 'a')).toEqual({ state: 'miss' });

  await cache.put('manifest', 'b', text(10), { maxAgeMs: 40 });
  const states = new Set<string>();
  await waitFor(async () => {
    states.add((await cache.lookup('manifest', 'b')).state);
    return states.has('miss');
  });
  expect([...states].filter((state) => state !== 'hit')).toEqual(['expired', 'miss']);

  const keys = Array.from({ length: 700 }, (_, number) => `${number}`);
  await Promise.all(keys.map((key) => cache.put('brief', key, text(10), { maxAgeMs: 30_000 })));
  await redis.eval(
    `for _, m in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    redis.call('ZADD', KEYS[1], 1, m) end`,
    1,
    '{dicom-dispatch}:cache:expiry',
  );
  expect(await cache.prune()).toBe(700);
  expect(await cache.stats()).toMatchObject({ entries: 0, bytes: 0 });
});

test('least recently used results go first', async () => {
  const cache = await open({ maxMemory: '14kB', compression: false });
  for (const key of ['a', 'b', 'c']) await cache.put('manifest', key, text(3_000));
  await cache.get('manifest', 'a');
  await cache.has('manifest', 'b');
  await cache.put('manifest', 'd', text(3_000));
  const there = await Promise.all(['a', 'b', 'c', 'd'].map((key) => cache.has('manifest', key)));
  expect(there).toEqual([true, false, true, true]);
  expect((await cache.stats())?.types['manifest']?.evictions).toBe(1);
});

test('persistent results are never evicted, and a warning reports when they alone exceed the budget', async () => {
  const cache = await open({ maxMemory: '10kB', compression: false, types: { kept: { retention: 'persistent' } } });
  await cache.put('manifest', 'a', text(2_000));
  expect(await cache.put('kept', 'a', text(6_000))).toBe('stored');
  expect(await cache.put('kept', 'b', text(6_000))).toBe('over-budget');
  expect(warnings).toMatchObject([{ code: 'persistent-over-budget' }]);
  expect(await cache.has('manifest', 'a')).toBe(false);
  expect(await cache.put('manifest', 'b', text(100))).toBe('dropped');
  expect(warnings[1]).toMatchObject({ code: 'budget-exceeded', type: 'manifest' });
  expect(await cache.has('kept', 'a')).toBe(true);
  expect(await cache.has('kept', 'b')).toBe(true);
  const stats = await cache.stats();
  expect(stats?.persistentBytes).toBe(stats?.bytes);
});

test('a result larger than the budget or the largest value is dropped with a warning', async () => {
  const cache = await open({ maxMemory: '10kB', compression: false }, { maxValueBytes: 20_000 });
  await cache.put('manifest', 'small', text(100));
  expect(await cache.put('manifest', 'a', text(11_000))).toBe('dropped');
  expect(await cache.put('manifest', 'a', text(21_000))).toBe('dropped');
  expect(warnings.map((warning) => warning.code)).toEqual(['budget-exceeded', 'too-large']);
  expect(await cache.has('manifest', 'small')).toBe(true);
});

test('transient results are kept for their use, and without one are not stored', async () => {
  const cache = await open({ types: { scratch: { retention: 'transient' } } });
  expect(await cache.put('scratch', 'a', text(10))).toBe('dropped');
  expect(await cache.getOrCompute('scratch', 'a', async () => 1)).toBe(1);
  await cache.put('scratch', 'a', text(10), { use: 'attempt-1' });
  await cache.put('scratch', 'b', text(10), { use: 'attempt-1' });
  await cache.put('scratch', 'c', text(10), { use: 'attempt-2' });
  expect(await cache.release('attempt-1')).toBe(2);
  expect(await cache.has('scratch', 'a')).toBe(false);
  expect(await cache.has('scratch', 'c')).toBe(true);
  expect(warnings).toEqual([]);
});

test('puts only over what was expected', async () => {
  const cache = await open();
  expect(await cache.put('study', 'a', text(1), { expect: 'absent' })).toBe('stored');
  const before = await cache.get('study', 'a');
  expect(await cache.put('study', 'a', text(2), { expect: 'absent' })).toBe('changed');
  expect(await cache.put('study', 'a', text(3), { expect: before?.stamp ?? '' })).toBe('stored');
  expect(await cache.put('study', 'a', text(4), { expect: before?.stamp ?? '' })).toBe('changed');
  expect((await cache.get('study', 'a'))?.sizeBytes).toBe(3);
});

test('persistent results survive a restart of Redis', async () => {
  await using durable = await startRedis();
  const config = configOf({ types: { kept: { retention: 'persistent' } } });
  const first = new Redis(durable.url);
  const before = await IntermediateCache.open(first, config, { timeoutMs: 30_000 });
  await before.put('kept', 'a', text(5_000));
  first.disconnect();
  await durable.kill('SIGKILL');
  await durable.restart();
  const second = new Redis(durable.url);
  const after = await IntermediateCache.open(second, config, { timeoutMs: 30_000 });
  expect((await after.get('kept', 'a'))?.bytes).toEqual(text(5_000));
  expect(await after.stats()).toMatchObject({ entries: 1 });
  second.disconnect();
});

test.each([
  ['other bytes', async (key: string) => void (await redis.set(key, Buffer.from('garbage\nmore')))],
  ['a flipped bit', async (key: string) => void (await redis.setrange(key, (await redis.strlen(key)) - 3, '!'))],
  ['cut off', async (key: string) => void (await redis.set(key, (await redis.getBuffer(key))!.subarray(0, -9)))],
  [
    'another type',
    async (key: string) => void (await redis.del(key), await redis.set(key, '{"sizeBytes":1,"crc":0}\n')),
  ],
  ['gone', async (key: string) => void (await redis.del(key))],
])('a spoilt value (%s) is a miss with a warning', async (_how, spoil) => {
  const cache = await open();
  await cache.put('manifest', 'a', text(3_000));
  await spoil('{dicom-dispatch}:cache:entry:manifest a');
  expect(await cache.lookup('manifest', 'a')).toEqual({ state: 'corrupt' });
  expect(warnings).toMatchObject([{ code: 'corrupt-value', type: 'manifest' }]);
  expect(await cache.lookup('manifest', 'a')).toEqual({ state: 'miss' });
  expect(await cache.getOrCompute('manifest', 'a', async () => 'new')).toBe('new');
  expect(await cache.getOrCompute('manifest', 'a', async () => 'newer')).toBe('new');
});

test('what its codec cannot read is computed again; what cannot be encoded is not kept', async () => {
  const cache = await open();
  await cache.put('manifest', 'a', Buffer.from('no JSON'));
  expect(await cache.getOrCompute('manifest', 'a', async () => [1])).toEqual([1]);
  expect(await cache.getOrCompute('manifest', 'b', async () => undefined)).toBeUndefined();
  expect(warnings.map((warning) => warning.code)).toEqual(['corrupt-value', 'not-encodable']);
});

test('odd keys become hashes, alike for the same key', async () => {
  const cache = await open();
  for (const key of ['with space', 'x'.repeat(5_000), '', 'ümlaut', '#a']) {
    await cache.put('query', key, Buffer.from(key));
    expect((await cache.get('query', key))?.bytes.toString()).toBe(key);
  }
  for (const key of await redis.keys('*entry*')) expect(key).toMatch(/^[\x21-\x7e]+ [\x21-\x7e]+$/);
});

test('when disabled, it stores and finds nothing', async () => {
  const cache = await open({ enabled: false });
  expect(await cache.put('manifest', 'a', text(10))).toBe('dropped');
  expect(await cache.lookup('manifest', 'a')).toEqual({ state: 'unavailable' });
  expect(await cache.getOrCompute('manifest', 'a', async () => 5)).toBe(5);
  expect(await redis.dbsize()).toBe(0);
});
