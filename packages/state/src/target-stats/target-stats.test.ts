import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { keyTable, rowOfKey } from '../keys/index.ts';
import { summarizeDurations } from './durations.ts';
import { TargetStats } from './target-stats.ts';

const prefix = '{stats}';
const dayMs = 86_400_000;
let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

it('stores throughput per minute and hour, and durations of today separately from those of earlier days', async () => {
  const stats = new TargetStats(redis, prefix);
  const now = Date.UTC(2026, 2, 1, 12, 30);
  const took = (ms: number) => new Map([['transfer', ms]] as const);
  for (let day = 1; day <= 7; day += 1) {
    for (let one = 1; one <= 20; one += 1) {
      await stats.ended('pacs', 'delivered', took(one * 100), now - day * dayMs);
    }
  }
  await stats.ended('pacs', 'delivered', took(5_000), now - 8 * dayMs);
  await stats.bytes('pacs', 1_000, now - 60_000);
  await stats.ended('pacs', 'failed', undefined, now - 60_000);
  await stats.ended('pacs', 'delivered', took(3_000), now - 3_600_000);
  await stats.ended('pacs', 'delivered', took(9_000), now - 2 * 3_600_000);

  expect(await stats.flow('pacs', 'minute', 2, now)).toEqual([
    { bytes: 1_000, ended: { failed: 1 } },
    { bytes: 0, ended: {} },
  ]);
  expect(await stats.flow('pacs', 'hour', 3, now)).toEqual([
    { bytes: 0, ended: { delivered: 1 } },
    { bytes: 0, ended: { delivered: 1 } },
    { bytes: 1_000, ended: { failed: 1 } },
  ]);
  const recent = (await stats.recentDurations('pacs', now)).get('transfer');
  expect(summarizeDurations(recent ?? new Map())?.count).toBe(1);
  const usual = summarizeDurations((await stats.usualDurations('pacs', now)).get('transfer') ?? new Map());
  expect(usual?.count).toBe(140);
  expect(Math.abs((usual?.medianMs ?? 0) - 1_000)).toBeLessThan(100);
  expect(Math.abs((usual?.p95Ms ?? 0) - 1_900)).toBeLessThan(190);
  // All keys expire, and are in the list of keys.
  for (const key of await redis.keys('*')) {
    expect(await redis.ttl(key), key).toBeGreaterThan(0);
    expect(keyTable).toContain(rowOfKey(prefix, key));
  }
});

it('counts only what was sent, in whole bytes, and durations from the hour before this one', async () => {
  const stats = new TargetStats(redis, prefix);
  const now = Date.UTC(2026, 5, 1, 12, 30);
  await stats.bytes('empty', 0, now);
  expect(await redis.keys('*:empty:*')).toEqual([]);
  await stats.bytes('some', 10.4, now);
  await stats.bytes('some', 10.6, now + 59_000 - 30_000);
  expect(await stats.flow('some', 'minute', 1, now)).toEqual([{ bytes: 21, ended: {} }]);
  await stats.ended('some', 'failed', new Map([['attempt', 5]]), now);
  await stats.ended('some', 'delivered', new Map([['attempt', 5]]), now);
  await stats.ended('some', 'delivered', new Map([['verify', 7]]), now);
  expect((await stats.flow('some', 'hour', 1, now))[0]?.ended).toEqual({ failed: 1, delivered: 2 });
  const recent = await stats.recentDurations('some', now);
  expect([...recent].map(([timed, counts]) => [timed, [...counts.values()]]).sort()).toEqual([
    ['attempt', [2]],
    ['verify', [1]],
  ]);
  expect((await stats.usualDurations('some', now)).size).toBe(0);
  expect([...(await stats.usualDurations('some', now + dayMs)).keys()].sort()).toEqual(['attempt', 'verify']);
  expect((await stats.recentDurations('some', now + 2 * 3_600_000)).size).toBe(0);
  expect(TargetStats.recentSince(now)).toBe(Date.UTC(2026, 5, 1, 11));
});

it('returns nothing for unknown values', () => {
  expect(summarizeDurations(new Map())).toBeUndefined();
});
