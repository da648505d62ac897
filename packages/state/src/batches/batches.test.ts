import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
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

  it('gives nothing while it is paused, and nothing before its time', async () => {
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
});
