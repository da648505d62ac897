import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { redisNow } from '../redis/index.ts';
import { Fetches } from './index.ts';

const prefix = '{fetches}';
const order = { target: 'archive', studyInstanceUid: '1.2.3', source: 'main', by: 'otto' };
let server: RedisServer;
let redis: Redis;
let fetches: Fetches;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  fetches = new Fetches(redis, prefix);
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

describe('a fetch', () => {
  it('shows its progress, and its end with the reason', async () => {
    const before = await redisNow(redis, prefix);
    await fetches.begin('f-1', order);
    const begun = await fetches.read('f-1');
    expect(begun).toEqual({
      id: 'f-1',
      ...order,
      state: 'running',
      completed: 0,
      failed: 0,
      remaining: undefined,
      startedAt: begun?.startedAt,
      problem: undefined,
    });
    expect(begun?.startedAt).toBeGreaterThanOrEqual(before);
    expect(await fetches.report('f-1', { completed: 3, failed: 1, remaining: 7 })).toBe(false);
    expect(await fetches.read('f-1')).toMatchObject({ completed: 3, failed: 1, remaining: 7 });
    // A target that no longer reports the number does not remove it.
    expect(await fetches.report('f-1', { completed: 4, failed: 1, remaining: undefined })).toBe(false);
    expect(await fetches.read('f-1')).toMatchObject({ completed: 4, remaining: 7 });
    await fetches.end('f-1', 'failed', 'the target refused');
    expect(await fetches.read('f-1')).toMatchObject({ state: 'failed', problem: 'the target refused', completed: 4 });
    await fetches.begin('f-2', order);
    await fetches.end('f-2', 'done');
    expect(await fetches.read('f-2')).toMatchObject({ state: 'done', problem: undefined });
  });

  it('is interrupted when its console has reported nothing for 30 seconds, unless it has ended', async () => {
    await fetches.begin('f-1', order);
    const ago = async (ms: number) => redis.hset(`${prefix}:fetch:f-1`, 'at', (await redisNow(redis, prefix)) - ms);
    await ago(20_000);
    expect((await fetches.read('f-1'))?.state).toBe('running');
    await ago(31_000);
    expect((await fetches.read('f-1'))?.state).toBe('interrupted');
    expect(await fetches.cancel('f-1')).toBe(false);
    // It reports again.
    await fetches.report('f-1', { completed: 1, failed: 0, remaining: undefined });
    expect((await fetches.read('f-1'))?.state).toBe('running');
    await fetches.end('f-1', 'cancelled');
    await ago(99_000);
    expect((await fetches.read('f-1'))?.state).toBe('cancelled');
  });

  it('can be cancelled while it is running: the next report of its console returns the cancellation', async () => {
    expect(await fetches.cancel('f-1')).toBe(false);
    await fetches.begin('f-1', order);
    expect(await fetches.cancel('f-1')).toBe(true);
    expect(await fetches.report('f-1', { completed: 1, failed: 0, remaining: 1 })).toBe(true);
    await fetches.end('f-1', 'cancelled');
    expect(await fetches.cancel('f-1')).toBe(false);
  });

  it('is listed for a day, the newest first, at most 100', async () => {
    for (let index = 0; index < 102; index += 1) {
      await fetches.begin(`f-${index}`, order);
      await redis.zadd(`${prefix}:fetches`, 'XX', (await redisNow(redis, prefix)) - 1_000 + index, `f-${index}`);
    }
    const listed = (await fetches.list()).map(({ id }) => id);
    expect(listed.length).toBe(100);
    expect(listed.slice(0, 2)).toEqual(['f-101', 'f-100']);
    const ttl = await redis.pttl(`${prefix}:fetch:f-101`);
    expect(ttl).toBeGreaterThan(86_000_000);
    expect(ttl).toBeLessThanOrEqual(86_400_000);
    // Expired.
    await redis.del(`${prefix}:fetch:f-101`);
    expect((await fetches.list())[0]?.id).toBe('f-100');
    // Entries of more than a day ago are removed when another begins.
    await redis.zadd(`${prefix}:fetches`, 'XX', 1, 'f-0');
    await fetches.begin('f-new', order);
    expect(await redis.zscore(`${prefix}:fetches`, 'f-0')).toBeNull();
    expect(await redis.zscore(`${prefix}:fetches`, 'f-1')).not.toBeNull();
  });

  it('without Redis is a fault of the ledger', async () => {
    const away = new Redis({ host: '127.0.0.1', port: 1, lazyConnect: true, retryStrategy: () => null });
    onTestFinished(() => away.disconnect());
    away.on('error', () => {});
    const unknown = new Fetches(away, prefix);
    for (const act of [
      () => unknown.begin('f-1', order),
      () => unknown.report('f-1', { completed: 0, failed: 0, remaining: 0 }),
      () => unknown.end('f-1', 'done'),
      () => unknown.cancel('f-1'),
      () => unknown.list(),
      () => unknown.read('f-1'),
    ]) {
      await expect(act()).rejects.toMatchObject({
        code: 'ledger-unavailable',
        message: 'Redis did not answer for a fetch',
        cause: expect.any(Error),
      });
    }
  });
});
