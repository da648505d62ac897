import { IntermediateCache } from '@dicom-dispatch/cache';
import { cacheConfig } from '@dicom-dispatch/core';
import { startRedis, waitFor } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { startPruning } from './start-pruning.ts';

test('removes expired entries while this process is responsible', async () => {
  await using server = await startRedis({ appendonly: false });
  const redis = new Redis(server.url);
  const cache = await IntermediateCache.open(redis, cacheConfig.parse({}), { timeoutMs: 30_000 });
  await cache.put('study', 'young', Buffer.from('1'));
  // Last, because a put removes expired entries.
  await cache.put('study', 'old', Buffer.from('1'), { maxAgeMs: 1 });
  let isLeading = false;
  let asked = 0;
  const pruning = startPruning(() => {
    asked += 1;
    return isLeading ? cache : undefined;
  }, 10);
  await waitFor(() => asked > 2);
  expect(await cache.stats()).toMatchObject({ entries: 2 });
  isLeading = true;
  await waitFor(async () => (await cache.stats())?.entries === 1);
  pruning.stop();
  expect(await cache.stats()).toMatchObject({ entries: 1, expired: 1 });
  redis.disconnect();
});
