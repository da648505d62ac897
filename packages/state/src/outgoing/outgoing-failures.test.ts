import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { redisNow } from '../redis/index.ts';
import { OutgoingFailures } from './index.ts';

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

it('a receiver is listed since the first of several failures, until it is reached or not configured any more', async () => {
  const failures = new OutgoingFailures(redis, '{outgoing}');
  expect(await failures.all()).toEqual(new Map());
  const before = await redisNow(redis, '{outgoing}');
  await failures.failed('webhook', 'x'.repeat(300));
  const { since = 0, message } = (await failures.all()).get('webhook') ?? {};
  expect(since).toBeGreaterThanOrEqual(before);
  expect(since).toBeLessThanOrEqual(await redisNow(redis, '{outgoing}'));
  expect(message).toBe('x'.repeat(200));
  await redis.hset('{outgoing}:outgoing-failures', 'webhook', JSON.stringify({ since: 5, message: 'first' }));
  await failures.failed('webhook', 'again');
  await failures.failed('syslog', 'refused');
  await failures.failed('mail', 'refused');
  expect((await failures.all()).get('webhook')).toEqual({ since: 5, message: 'again' });
  await failures.drop(() => false);
  expect((await failures.all()).size).toBe(3);
  await failures.drop((receiver) => receiver === 'mail');
  expect([...(await failures.all()).keys()].sort()).toEqual(['syslog', 'webhook']);
  await failures.succeeded('webhook');
  expect([...(await failures.all()).keys()]).toEqual(['syslog']);
});
