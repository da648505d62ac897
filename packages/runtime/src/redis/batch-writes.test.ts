import { startRedis } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { batchWrites } from './batch-writes.ts';

it('sends commands of one event loop iteration in one write and in order, also after a reconnection', async () => {
  await using server = await startRedis({ appendonly: false });
  const redis = new Redis(server.url);
  batchWrites(redis);
  try {
    for (const round of ['first', 'second']) {
      await redis.ping();
      const { stream } = redis;
      let writes = 0;
      const writev = stream._writev!.bind(stream);
      stream._writev = (...args) => {
        writes += 1;
        writev(...args);
      };
      const key = `list-${round}`;
      const pushes = Array.from({ length: 50 }, (_, index) => redis.rpush(key, index));
      const transaction = redis.multi().rpush(key, 'in a transaction').exec();
      const last = redis.rpush(key, 'last');
      await Promise.all([...pushes, transaction, last]);
      expect(writes).toBe(1);
      expect(await redis.lrange(key, 0, -1)).toEqual([
        ...Array.from({ length: 50 }, (_, index) => String(index)),
        'in a transaction',
        'last',
      ]);
      redis.disconnect(true);
    }
  } finally {
    redis.disconnect();
  }
});
