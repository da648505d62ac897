import { startTestPipeline } from '@dicom-dispatch/pipeline/testing';
import { expect, it } from 'vitest';
import { decidePlace } from './decide-place.ts';

it('waits for deliveries that a dispatcher has, not for those of a killed one', async () => {
  await using test = await startTestPipeline();
  const { operations, redis, config } = test;
  const target = config.targets['a']!;
  await operations.places.register('a', { ...target, type: 'folder' } as never);
  const { added } = await test.enqueue('1.2.3');
  const id = added[0]!.deliveryId;
  const queue = operations.queues.target('a');
  const lock = `${queue.toKey(id)}:lock`;
  // As in a worker that takes a job.
  await redis.zrem(queue.toKey('prioritized'), id);
  await redis.lpush(queue.toKey('active'), id);
  await redis.set(lock, 'of a dispatcher');
  await expect(decidePlace(operations, 'a', 'same')).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('1 delivery is still in progress'),
  });
  await redis.del(lock);
  expect(await decidePlace(operations, 'a', 'same')).toMatchObject({ ledger: 'a' });
});
