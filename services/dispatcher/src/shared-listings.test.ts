import { IntermediateCache } from '@dicom-dispatch/cache';
import { cacheConfig, type ManifestInstance, type TargetConfig } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { SharedListings } from './shared-listings.ts';

let server: RedisServer;
let redis: Redis;
let cache: IntermediateCache;
/** Content of the target. */
let held: Set<string>;
let asked: number;

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
  cache = await IntermediateCache.open(redis, cacheConfig.parse({}), { timeoutMs: 30_000 });
  held = new Set(['1.1', '1.2']);
  asked = 0;
});

const manifest = ['1.1', '1.2'].map((uid) => ({ sopInstanceUid: uid, seriesInstanceUid: '1' }) as ManifestInstance);
const series = { studyInstanceUid: '0', seriesInstanceUid: '1' };
const listings = (host = 'pacs'): SharedListings =>
  new SharedListings(cache, { name: 'pacs', config: { type: 'dicom', host } as unknown as TargetConfig }, manifest);

async function ask(): Promise<Set<string>> {
  asked += 1;
  return new Set(held);
}

test('two queries of an attempt share a result, if nothing is sent in between', async () => {
  const one = listings();
  expect(await one.list(series, ask)).toEqual(held);
  expect(await one.list(series, ask)).toEqual(held);
  expect(asked).toBe(1);
  one.sending();
  await one.list(series, ask);
  expect(asked).toBe(2);
  await one.list({ studyInstanceUid: '0' }, ask);
  expect(asked).toBe(3);
});

test('a result of an earlier attempt never confirms instances that this one has sent', async () => {
  await listings().list(series, ask);
  const retry = listings();
  retry.sending();
  held.delete('1.2');
  expect(await retry.list(series, ask)).toEqual(new Set(['1.1']));
  // Nor when nothing was sent.
  held.clear();
  expect(await listings().list(series, ask)).toEqual(new Set());
});

test('another delivery shares a result from after its last transfer', async () => {
  const [one, other] = [listings(), listings()];
  await other.list(series, ask);
  await one.list(series, ask, { fresh: true });
  expect(asked).toBe(2);
  expect(await other.list(series, ask)).toEqual(held);
  expect(asked).toBe(2);
  // The same name at another address is another target.
  await listings('elsewhere').list(series, ask);
  expect(asked).toBe(3);
});

test('fresh always queries, and without Redis all do', async () => {
  const one = listings();
  await one.list(series, ask);
  held.add('1.3');
  expect(await one.list(series, ask, { fresh: true })).toEqual(held);
  expect(asked).toBe(2);
  const silent = new Redis(server.url, { lazyConnect: true });
  silent.disconnect();
  const away = await IntermediateCache.open(silent, cacheConfig.parse({}), { timeoutMs: 30_000 });
  const alone = new SharedListings(away, { name: 'pacs', config: { type: 'dicom' } as TargetConfig }, manifest);
  await alone.list(series, ask);
  await alone.list(series, ask);
  expect(asked).toBe(4);
});

test('a series that is too large to be shared is listed completely', async () => {
  held = new Set(Array.from({ length: 1_500 }, (_, index) => `1.${index}`));
  const one = listings();
  expect((await one.list(series, ask)).size).toBe(1_500);
  expect((await one.list(series, ask)).size).toBe(1_500);
  expect(asked).toBe(2);
});
