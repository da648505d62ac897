import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { redisNow } from '../redis/index.ts';
import { Batches } from './batches.ts';

const order = { source: 'main', targets: ['archive'], by: 'otto' };
let server: RedisServer;
let redis: Redis;
let batches: Batches;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  batches = new Batches(redis, '{batches}');
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

describe('a batch', () => {
  it('returns its studies one by one, counts the result of each once, and ends with the last', async () => {
    await batches.create('b-1', order, ['one', 'two', 'three']);
    expect(await batches.open()).toMatchObject([{ id: 'b-1', ...order, state: 'running', total: 3 }]);
    expect(await batches.next('b-1', 1)).toBe('one');
    await batches.studyDone('b-1', 'one', 'routed');
    await batches.studyDone('b-1', 'one', 'routed');
    expect(await batches.next('b-1', 1)).toBe('two');
    await batches.studyDone('b-1', 'two', 'failed', 'two: it cannot be read');
    await batches.studyDone('b-1', 'three', 'skipped');
    const ended = { state: 'done', routed: 1, failed: 1, skipped: 1, problem: 'two: it cannot be read' };
    expect(await batches.read('b-1')).toMatchObject({ ...ended, endedAt: expect.any(Number) as number });
    expect(await batches.open()).toEqual([]);
    expect(await batches.list()).toMatchObject([ended]);
    expect(await redis.exists('{batches}:batch-todo:b-1')).toBe(0);
    expect(await redis.pttl('{batches}:batch:b-1')).toBeGreaterThan(89 * 86_400_000);
  });

  it('returns nothing while it is paused, and nothing before its time', async () => {
    await batches.create('b-1', order, ['one', 'two'], 2);
    expect(await batches.change('b-1', ['running'], 'paused')).toBe(true);
    expect(await batches.change('b-1', ['running'], 'paused')).toBe(false);
    expect(await batches.next('b-1', 1)).toBeUndefined();
    await batches.change('b-1', ['paused'], 'running');
    await batches.studyDone('b-1', 'one', 'routed');
    const nextAt = Number(await redis.hget('{batches}:batch:b-1', 'nextAt'));
    expect(await batches.next('b-1', nextAt - 1)).toBeUndefined();
    expect(await batches.next('b-1', nextAt)).toBe('two');
    await batches.setRate('b-1', undefined);
    expect(await batches.next('b-1', 1)).toBe('two');
  });

  it('keeps no remaining studies after its cancellation', async () => {
    await batches.create('b-1', order, ['one', 'two']);
    await batches.change('b-1', ['running', 'paused'], 'cancelled');
    expect(await batches.next('b-1', 1)).toBeUndefined();
    expect(await batches.open()).toEqual([]);
    expect(await batches.read('b-1')).toMatchObject({ state: 'cancelled', total: 2, routed: 0 });
    expect(await redis.exists('{batches}:batch-todo:b-1')).toBe(0);
  });

  it('is open again when the set of those is lost, unless it has ended meanwhile', async () => {
    await batches.create('b-1', order, ['one']);
    await batches.create('b-2', order, ['two']);
    await redis.del('{batches}:batches-open');
    const reading = new Batches(redis, '{batches}');
    reading.read = async (id) => {
      const read = await batches.read(id);
      if (id === 'b-2') await batches.change(id, ['running'], 'cancelled');
      return read;
    };
    await reading.list();
    expect(await redis.smembers('{batches}:batches-open')).toEqual(['b-1']);
  });

  it('with more studies than one command takes has them all, in order, and is visible when they are written', async () => {
    const studies = Array.from({ length: 10_001 }, (_, index) => `o-${index}`);
    const before = Date.now();
    await batches.create('b-1', { ...order, rule: 'ct', epoch: 3 }, studies, 60);
    expect(await redis.lrange('{batches}:batch-todo:b-1', 0, -1)).toEqual(studies);
    expect(await redis.pttl('{batches}:batch-todo:b-1')).toBe(-1);
    const batch = await batches.read('b-1');
    expect(batch).toEqual({
      id: 'b-1',
      ...order,
      rule: 'ct',
      epoch: 3,
      state: 'running',
      total: 10_001,
      routed: 0,
      skipped: 0,
      failed: 0,
      studiesPerMinute: 60,
      createdAt: batch?.createdAt,
      endedAt: undefined,
      problem: undefined,
    });
    expect(batch?.createdAt).toBeGreaterThan(before - 60_000);
  });

  it('whose creation was interrupted expires, and is never visible', async () => {
    const failing = new Proxy(redis, {
      get(target, name) {
        if (name === 'hset') return () => Promise.reject(new Error('killed'));
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    await expect(new Batches(failing, '{batches}').create('b-1', order, ['one'])).rejects.toMatchObject({
      code: 'ledger-unavailable',
    });
    const left = await redis.pttl('{batches}:batch-todo:b-1');
    expect(left).toBeGreaterThan(500_000);
    expect(left).toBeLessThanOrEqual(600_000);
    expect(await batches.open()).toEqual([]);
    expect(await batches.list()).toEqual([]);
    expect(await batches.read('b-1')).toBeUndefined();
  });

  it('is listed, the newest first, until it is removed 90 days after its end', async () => {
    for (const [at, id] of ['b-1', 'b-2', 'b-3'].entries()) {
      await batches.create(id, order, ['one']);
      await redis.zadd('{batches}:batches', at, id);
    }
    expect((await batches.list()).map(({ id }) => id)).toEqual(['b-3', 'b-2', 'b-1']);
    expect((await batches.list(2)).map(({ id }) => id)).toEqual(['b-3', 'b-2']);
    await redis.del('{batches}:batch:b-2');
    expect((await batches.list()).map(({ id }) => id)).toEqual(['b-3', 'b-1']);
    expect(await redis.zrange('{batches}:batches', '0', '-1')).toEqual(['b-1', 'b-3']);
    expect((await batches.open()).map(({ id }) => id)).toEqual(['b-1', 'b-3']);
    // Also one that is paused is entered again.
    await batches.change('b-1', ['running'], 'paused');
    await redis.del('{batches}:batches-open');
    await batches.list();
    expect((await redis.smembers('{batches}:batches-open')).sort()).toEqual(['b-1', 'b-3']);
  });

  it('whose list of studies was lost ends with the reason, and not while it is paused', async () => {
    await batches.create('b-1', order, ['one', 'two']);
    await redis.del('{batches}:batch-todo:b-1');
    await batches.change('b-1', ['running'], 'paused');
    expect(await batches.next('b-1', 1)).toBeUndefined();
    expect((await batches.read('b-1'))?.state).toBe('paused');
    await batches.change('b-1', ['paused'], 'running');
    expect(await batches.next('b-1', 1)).toBeUndefined();
    expect(await batches.read('b-1')).toMatchObject({
      state: 'done',
      endedAt: expect.any(Number) as number,
      problem: expect.stringContaining('the list of the studies that were left was missing') as string,
    });
    expect(await batches.open()).toEqual([]);
    expect(await redis.pttl('{batches}:batch:b-1')).toBeGreaterThan(89 * 86_400_000);
  });

  it('changes its rate at once, and has no wait without one', async () => {
    await batches.create('b-1', order, ['one', 'two', 'three'], 1);
    const before = await redisNow(redis, '{batches}');
    await batches.studyDone('b-1', 'one', 'routed');
    const nextAt = Number(await redis.hget('{batches}:batch:b-1', 'nextAt'));
    expect(nextAt).toBeGreaterThanOrEqual(before + 60_000);
    await batches.setRate('b-1', 120);
    expect((await batches.read('b-1'))?.studiesPerMinute).toBe(120);
    expect(await batches.next('b-1', 1)).toBe('two');
    await batches.setRate('b-1', undefined);
    await batches.studyDone('b-1', 'two', 'routed');
    expect(await redis.hexists('{batches}:batch:b-1', 'nextAt')).toBe(0);
    expect((await batches.read('b-1'))?.studiesPerMinute).toBeUndefined();
  });
});
