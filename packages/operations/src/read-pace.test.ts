import { parseConfig } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { openPipeline, type PipelineContext } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { TargetStats } from '@dicom-dispatch/state/target-stats';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { readDurations, readPace } from './read-pace.ts';

const log = createLogger('test', { level: 'fatal', format: 'json' });
const dayMs = 86_400_000;
let server: RedisServer;
let redis: Redis;
let context: PipelineContext;
let stats: TargetStats;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = connectRedis(server.url, 'test', log);
  const parsed = parseConfig(
    { sources: { main: { url: 'http://127.0.0.1:1' } }, targets: { a: { type: 'dummy' } } },
    Object.values(targetSchemas) as never,
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  context = openPipeline(() => parsed.config, redis);
  stats = new TargetStats(redis, parsed.config.redis.prefix);
});
afterAll(async () => {
  await context.close();
  redis.disconnect();
  await server.stop();
});
beforeEach(() => redis.flushall());

it('returns the expected end of the backlog at the rate of the last minutes', async () => {
  expect(await readPace(context, 'a', { waiting: 0, active: 3 })).toMatchObject({
    deliveriesPerMinute: 0,
    expectedEndAt: undefined,
  });
  const now = Date.now();
  for (const minutes of [1, 2, 3, 4]) {
    for (let one = 0; one < 10; one += 1) await stats.ended('a', 'delivered', undefined, now - minutes * 60_000);
  }
  const { deliveriesPerMinute, keptBack, expectedEndAt = 0 } = await readPace(context, 'a', { waiting: 5, active: 30 });
  expect(keptBack).toBe(5);
  // Forty in four minutes and a part of one.
  expect(deliveriesPerMinute).toBeGreaterThan(7);
  expect(deliveriesPerMinute).toBeLessThan(10);
  expect((expectedEndAt - now) / 60_000).toBeGreaterThan(2.9);
  // The API has whole milliseconds.
  for (const active of [1, 2, 7, 11]) {
    expect(await readPace(context, 'a', { waiting: 0, active })).toMatchObject({
      expectedEndAt: expect.toSatisfy(Number.isInteger),
    });
  }
  expect(await readPace(context, 'a', { waiting: 0, active: 0 })).toMatchObject({ expectedEndAt: undefined });
});

it('reports a slower target, but not for few deliveries or short times', async () => {
  const now = Date.now();
  const ended = async (ms: number, count: number, at: number): Promise<void> => {
    for (let one = 0; one < count; one += 1) await stats.ended('a', 'delivered', new Map([['instance', ms]]), at);
  };
  await ended(100, 20, now - 2 * dayMs);
  await ended(300, 4, now);
  expect((await readDurations(context, 'a')).slower).toBeUndefined();
  await ended(300, 1, now);
  const { slower, parts } = await readDurations(context, 'a');
  expect(Math.round((slower?.instanceMs ?? 0) / 100)).toBe(3);
  expect(Math.round((slower?.usualMs ?? 0) / 100)).toBe(1);
  expect(parts.map(({ timed, recent, usual }) => [timed, recent?.count, usual?.count])).toEqual([['instance', 5, 20]]);
  await redis.flushall();
  await ended(2, 20, now - dayMs);
  await ended(15, 20, now);
  expect((await readDurations(context, 'a')).slower).toBeUndefined();
});
