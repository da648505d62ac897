import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTargetMemory } from './target-memory.ts';

let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url, { maxRetriesPerRequest: 0, retryStrategy: () => null });
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

test('stores values with a target by its name, and fails with a specific error without Redis', async () => {
  const [first, second] = ['one', 'two'].map((name) => createTargetMemory(redis, '{dicom-dispatch}', name));
  await first!.set('place', { id: 'a', device: 7 });
  expect(await first!.get('place')).toEqual({ id: 'a', device: 7 });
  expect(await second!.get('place')).toBeUndefined();
  await first!.delete('place');
  expect(await first!.get('place')).toBeUndefined();
  redis.disconnect();
  await expect(first!.get('place')).rejects.toMatchObject({ code: 'ledger-unavailable' });
});
