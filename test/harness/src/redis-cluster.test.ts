import { Cluster } from 'ioredis';
import { expect, test } from 'vitest';
import { startRedisCluster } from './redis-cluster.ts';

test('stores keys on all three masters', async () => {
  await using cluster = await startRedisCluster();
  const client = new Cluster([...cluster.startupNodes]);
  try {
    for (let index = 0; index < 60; index += 1) await client.set(`key ${index}`, index);
    expect(await client.get('key 42')).toBe('42');
    const sizes = await Promise.all(client.nodes('master').map((one) => one.dbsize()));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(60);
    expect(sizes.every((size) => size > 0)).toBe(true);
  } finally {
    client.disconnect();
  }
});
