import { setImmediate } from 'node:timers/promises';
import { startRedis, waitFor, type RedisServer } from '@dicom-dispatch/harness';
import { Queue, Worker } from 'bullmq';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLogger } from '../logging/create-logger.ts';
import { connectRedis } from '../redis/connect-redis.ts';
import { queueOptions, workerOptions } from './queue-options.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
});
afterAll(() => server.stop());

it('a job that a worker takes while it waits for a rate limit starts before its lock expires', async () => {
  const log = createLogger('test', { level: 'fatal', format: 'json' });
  const redis = connectRedis(server.url, 'test', log);
  const [prefix, lockTimeMs] = ['{limits}', 15_000];
  const queue = new Queue('target', queueOptions(redis, prefix));
  const ended: string[] = [];
  const locks: (string | null)[] = [];
  let finishFirst = (): void => {};
  const first = new Promise<void>((resolve) => (finishFirst = resolve));
  const worker = new Worker(
    'target',
    async ({ name, id = '', token = '' }) => {
      if (name === 'first') await first;
      if (name === 'third') locks.push(token, await redis.get(`${queue.toKey(id)}:lock`));
    },
    workerOptions(redis, prefix, 2, lockTimeMs),
  );
  worker.on('error', () => {});
  worker.on('completed', ({ name }) => void ended.push(name));
  const stalled: string[] = [];
  worker.on('stalled', (id) => void stalled.push(id));
  try {
    await queue.setGlobalRateLimit(2, 3_600_000);
    for (const name of ['first', 'second', 'third']) await queue.add(name, {});
    void worker.run().catch(() => {});
    await waitFor(() => ended.includes('second'), { message: 'the second job' });
    const isLimited = () => (worker as unknown as { readonly limitUntil: number }).limitUntil > Date.now();
    await waitFor(isLimited, { message: 'the worker to wait for the rate limit' });
    await setImmediate();
    await queue.removeGlobalRateLimit();
    await queue.removeRateLimitKey();
    // Its end takes the third job.
    finishFirst();
    await waitFor(() => locks.length > 0, { message: 'the third job' });
    expect(locks[1]).toBe(locks[0]);
    expect(stalled).toEqual([]);
    await waitFor(() => ended.includes('third'), { message: 'its end' });
  } finally {
    finishFirst();
    await worker.close();
    await queue.close();
    redis.disconnect();
  }
});
