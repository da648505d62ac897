import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Lease } from './lease.ts';

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

it('a lease with a too long remaining time, because the clock of Redis was set back, is taken from its owner', async () => {
  const prefix = '{lease}';
  await redis.hset(redisKeys(prefix).generation, 'id', 'g');
  const lease = new Lease({ redis, prefix, source: 'main', durationMs: 60_000, generation: () => 'g' });
  await redis.set(lease.key, 'another', 'PX', 50_000);
  expect(await lease.acquire()).toBe(false);
  await redis.set(lease.key, 'gone', 'PX', 86_400_000);
  expect(await lease.acquire()).toBe(true);
  expect(await redis.pttl(lease.key)).toBeLessThanOrEqual(60_000);
});
