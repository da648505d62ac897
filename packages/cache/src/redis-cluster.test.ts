import { Cluster } from 'ioredis';
import { startRedisCluster, tempFolder } from '@dicom-dispatch/harness';
import { expect, test } from 'vitest';
import { IntermediateCache } from './intermediate/intermediate-cache.ts';
import { configOf } from './intermediate/testing.ts';
import { createLedger } from '@dicom-dispatch/state/ledger';

test('ledger and cache work on a Redis Cluster, which rejects keys of several slots in one command', async () => {
  await using server = await startRedisCluster();
  await using folder = await tempFolder('cache');
  const redis = new Cluster([...server.startupNodes]);
  try {
    const ledger = createLedger(redis, { prefix: '{other}', timeoutMs: 30_000 });
    const key = { source: 'main', orthancStudyId: 'o-1', studyInstanceUid: '1.2', target: 'pacs' };
    const outcome = { version: 'v', attempt: 1, deliveryId: 'd-1' };
    const fence = { lockKey: '{other}:target-pacs:d-1:lock', token: 't' };
    await redis.set(fence.lockKey, 't');
    await ledger.confirm(key, [{ ...outcome, sopInstanceUid: '1.2.1' }], fence);
    await ledger.quarantine(key, {
      ...outcome,
      sopInstanceUid: '1.2.2',
      error: { code: 'instance-refused', message: '' },
    });
    expect(await ledger.clearQuarantine(key)).toBe(1);
    expect(await ledger.summary(key)).toEqual({ delivered: 1, quarantined: 0 });
    await ledger.forget(key);
    expect((await ledger.entries(key)).size).toBe(0);

    const warnings: unknown[] = [];
    const config = configOf({ maxMemory: '20kB', compression: false, folder: { path: folder.path } });
    const cache = await IntermediateCache.open(redis, config, {
      prefix: '{other}',
      timeoutMs: 30_000,
      onWarning: (warning) => warnings.push(warning),
    });
    for (let number = 0; number < 20; number += 1) await cache.put('manifest', `k${number}`, Buffer.alloc(2_000));
    await cache.put('transformed-instance', 'large', Buffer.alloc(100_000));
    expect((await cache.get('transformed-instance', 'large'))?.sizeBytes).toBe(100_000);
    expect(await cache.getOrCompute('query', 'a', async () => 3)).toBe(3);
    expect((await cache.stats())?.evictions).toBeGreaterThan(0);
    expect(await cache.audit()).toMatchObject({ lost: 0 });
    await cache.invalidate('query', 'a');
    await cache.prune();
    expect(await cache.clear()).toBeGreaterThan(5);
    expect(await cache.stats()).toMatchObject({ entries: 0, bytes: 0 });
    expect(warnings).toEqual([]);
  } finally {
    redis.disconnect();
  }
});
