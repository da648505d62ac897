import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SweepNotes } from './sweep-notes.ts';

const prefix = '{sweep-notes}';
let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url, { maxRetriesPerRequest: null });
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

it('a sweep after lost data does not wait and begins with the first study, until one has ended', async () => {
  const notes = new SweepNotes(redis, prefix, 'main');
  expect(await notes.isUrgent()).toBe(false);
  const key = redisKeys(prefix).sweep('main');
  await redis.hset(key, { place: 50, startedAt: 1, endedAt: 2 });
  await notes.restart();
  expect(await redis.hmget(key, 'place', 'startedAt', 'endedAt')).toEqual(['0', null, '2']);
  // Also for a router that starts before the sweep has ended.
  expect(await new SweepNotes(redis, prefix, 'main').isUrgent()).toBe(true);
  expect(await new SweepNotes(redis, prefix, 'other').isUrgent()).toBe(false);
  await notes.ended();
  await redis.hset(key, { place: 50 });
  await notes.beginAgain();
  expect(await redis.hget(key, 'place')).toBe('0');
  expect(await notes.isUrgent()).toBe(false);
});
