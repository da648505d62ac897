import { Redis } from 'ioredis';
import { startRedis } from '@dicom-dispatch/harness';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { CacheWarning } from './cache-types.ts';
import { IntermediateCache } from './intermediate-cache.ts';
import { configOf } from './testing.ts';

async function everyCall(cache: IntermediateCache): Promise<void> {
  expect(await cache.put('manifest', 'a', Buffer.from('1'))).toBe('dropped');
  expect(await cache.lookup('manifest', 'a')).toEqual({ state: 'unavailable' });
  expect(await cache.has('manifest', 'a')).toBe(false);
  expect(await cache.invalidate('manifest', 'a')).toBe(false);
  expect(await cache.clear()).toBe(0);
  expect(await cache.release('x')).toBe(0);
  expect(await cache.prune()).toBe(0);
  expect(await cache.stats()).toBeUndefined();
  expect(await cache.audit()).toBeUndefined();
  expect(await cache.getOrCompute('manifest', 'a', async () => 42)).toBe(42);
  const stream = await cache.getOrComputeStream('transformed-instance', 'a', async () =>
    (async function* () {
      yield Buffer.from('abc');
    })(),
  );
  expect(Buffer.concat(await Array.fromAsync(stream.body)).toString()).toBe('abc');
}

test('a Redis that dies, and one that hangs, cost one warning and no delivery', async () => {
  await using server = await startRedis({ appendonly: false });
  const redis = new Redis(server.url, { maxRetriesPerRequest: null });
  redis.on('error', () => {});
  const warnings: CacheWarning[] = [];
  const well = await IntermediateCache.open(redis, configOf({}), { timeoutMs: 30_000 });
  await well.put('manifest', 'a', Buffer.from('1'));
  expect(await well.has('manifest', 'a')).toBe(true);

  const cache = await IntermediateCache.open(redis, configOf({}), {
    timeoutMs: 3_000,
    onWarning: (warning) => warnings.push(warning),
  });
  await server.kill('SIGSTOP');
  // The pause after the first failure lasts as long as the calls take.
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  await everyCall(cache);
  expect(warnings).toMatchObject([{ code: 'redis-unavailable' }]);
  await server.kill('SIGCONT');

  await server.kill('SIGKILL');
  const fresh = await IntermediateCache.open(redis, configOf({}), { timeoutMs: 3_000 });
  await everyCall(fresh);
  redis.disconnect();
});

test('a full Redis stores nothing new', async () => {
  await using server = await startRedis({ appendonly: false });
  const redis = new Redis(server.url);
  const warnings: CacheWarning[] = [];
  const cache = await IntermediateCache.open(redis, configOf({}), {
    timeoutMs: 30_000,
    onWarning: (warning) => warnings.push(warning),
  });
  await cache.put('study', 'old', Buffer.from('kept'));
  await redis.config('SET', 'maxmemory', '1');
  expect(await cache.put('manifest', 'a', Buffer.from('1'))).toBe('dropped');
  expect(await cache.getOrCompute('manifest', 'a', async () => 42)).toBe(42);
  expect((await cache.get('study', 'old'))?.bytes.toString()).toBe('kept');
  expect(warnings).toMatchObject([{ code: 'redis-unavailable', cause: { message: expect.stringContaining('OOM') } }]);
  redis.disconnect();
});
