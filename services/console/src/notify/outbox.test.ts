import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Notification } from './notification.ts';
import { Outbox } from './outbox.ts';

let server: RedisServer;
let redis: Redis;
let outbox: Outbox;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url, { maxRetriesPerRequest: null });
  outbox = new Outbox(redis, '{test}');
});
afterAll(async () => {
  await outbox.close();
  redis.disconnect();
  await server.stop();
});

const event = (id: string): Notification => ({ id, kind: 'failed', at: 1, target: 'pacs' });

test.each([
  { receiver: 'webhook:digest', digestMs: 60_000, bundles: 1 },
  { receiver: 'webhook:each', digestMs: 0, bundles: 3 },
])('an event that is seen again is told once: $receiver', async ({ receiver, digestMs, bundles }) => {
  await outbox.gather(receiver, [event('a'), event('b')], digestMs);
  // A console that crashed before it stored the state of its check detects the same events again, and new ones.
  await outbox.gather(receiver, [event('a'), event('b'), event('c')], digestMs);
  const jobs = (await outbox.queue.getJobs(['waiting', 'delayed'])).filter(({ data }) => data.receiver === receiver);
  expect(jobs).toHaveLength(bundles);
  const notified: string[] = [];
  for (const { data } of jobs) notified.push(...(await outbox.take(receiver, data.bundle)).map(({ id }) => id));
  expect(notified.toSorted()).toEqual(['a', 'b', 'c']);
});

test('a message is retried for about half a day', async () => {
  await outbox.gather('webhook:night', [event('a')], 0);
  const jobs = await outbox.queue.getJobs(['waiting']);
  const { attempts = 0, backoff } = jobs.find(({ data }) => data.receiver === 'webhook:night')!.opts;
  const { type, delay = 0 } = backoff as { type: string; delay?: number };
  expect(type).toBe('exponential');
  const hours = (delay * (2 ** (attempts - 1) - 1)) / 3_600_000;
  expect(hours).toBeGreaterThan(10);
  expect(hours).toBeLessThan(14);
});

test.each([
  { receiver: 'webhook:digest-2', digestMs: 60_000 },
  { receiver: 'webhook:each-2', digestMs: 0 },
])('a job that a console died before adding is added at the next look: $receiver', async ({ receiver, digestMs }) => {
  await outbox.gather(receiver, [event('a')], digestMs);
  const mine = async () =>
    (await outbox.queue.getJobs(['waiting', 'delayed'])).filter(({ data }) => data.receiver === receiver);
  for (const job of await mine()) await job.remove();
  // Without a digest an event counts as sent only after its job was added.
  if (digestMs === 0) await redis.zrem('{test}:notify:told', `${receiver} a`);
  await outbox.gather(receiver, [event('a')], digestMs);
  const jobs = await mine();
  expect(jobs).toHaveLength(1);
  expect(await outbox.take(receiver, jobs[0]!.data.bundle)).toEqual([event('a')]);
});
