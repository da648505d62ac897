import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { redisState } from './redis-state.ts';

let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

it('a worker that has lost its job does not overwrite the state of the next one', async () => {
  const lockKey = '{test}:target-pacs:d-1:lock';
  const before = redisState(redis, '{test}', 'd-1', { lockKey, token: 'before' });
  const next = redisState(redis, '{test}', 'd-1', { lockKey, token: 'next' });
  await redis.set(lockKey, 'before');
  await before.set('sessions', ['a']);
  await redis.set(lockKey, 'next');
  await next.set('sessions', ['a', 'b']);
  await expect(before.set('sessions', ['a'])).rejects.toMatchObject({ code: 'lock-lost' });
  await expect(before.delete('sessions')).rejects.toMatchObject({ code: 'lock-lost' });
  expect(await before.get('sessions')).toEqual(['a', 'b']);
  await redis.del(lockKey);
  await expect(next.set('sessions', [])).rejects.toMatchObject({ code: 'lock-lost' });
  expect(await next.get('sessions')).toEqual(['a', 'b']);
});
