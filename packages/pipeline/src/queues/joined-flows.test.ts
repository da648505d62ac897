import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { queueOptions } from '@dicom-dispatch/runtime';
import { Queue, type FlowJob } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { JoinedFlows } from './joined-flows.ts';

const prefix = '{flows}';
let server: RedisServer;
let redis: Redis;
let flows: JoinedFlows;
let tasks: Queue;
let deliveries: Queue;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url, { maxRetriesPerRequest: null });
  flows = new JoinedFlows(redis, prefix);
  tasks = new Queue('tasks', queueOptions(redis, prefix));
  deliveries = new Queue('deliveries', queueOptions(redis, prefix));
});
beforeEach(async () => {
  await redis.flushall();
  await redis.config('RESETSTAT');
});
afterAll(async () => {
  await Promise.all([flows.close(), tasks.close(), deliveries.close()]);
  redis.disconnect();
  await server.stop();
});

function flow(id: string, data: unknown = {}): FlowJob {
  return {
    name: 'study',
    queueName: 'tasks',
    data,
    opts: { jobId: id },
    children: [{ name: 'delivery', queueName: 'deliveries', data: {}, opts: { jobId: `d-${id}` } }],
  };
}

async function stored(): Promise<string[]> {
  const [parents, children] = await Promise.all([
    tasks.getJobs('waiting-children'),
    deliveries.getJobs(['waiting', 'prioritized']),
  ]);
  return [...parents, ...children].map(({ id }) => id ?? '').toSorted();
}

it('adds the flows of one iteration of the event loop in few transactions, each with all its jobs', async () => {
  const ids = Array.from({ length: 40 }, (_, index) => `s-${String(index).padStart(2, '0')}`);
  await Promise.all(ids.map((id) => flows.add(flow(id))));
  expect(await stored()).toEqual([...ids.map((id) => `d-${id}`), ...ids].toSorted());
  expect(Number(/cmdstat_exec:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1])).toBeLessThanOrEqual(3);
});

it('adds flows with many jobs in transactions of at most 64 jobs, and a flow with more in one alone', async () => {
  const sizes = [31, 31, 1, 69, 9, 9];
  const ids = sizes.map((_, index) => `s-${index}`);
  const children = (id: string, size: number): FlowJob[] =>
    Array.from({ length: size }, (_, index) => ({
      name: 'delivery',
      queueName: 'deliveries',
      data: {},
      opts: { jobId: `d-${id}-${index}` },
    }));
  await Promise.all(ids.map((id, at) => flows.add({ ...flow(id), children: children(id, sizes[at] ?? 0) })));
  expect((await stored()).length).toBe(sizes.length + sizes.reduce((sum, size) => sum + size));
  // 32 + 32, 2, 70, 10 + 10
  expect(Number(/cmdstat_exec:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1])).toBe(4);
});

it('a flow that Redis cannot store fails alone, and is not reported as stored', async () => {
  await redis.set(tasks.toKey('s-bad:dependencies'), 'not a set');
  const added = await Promise.allSettled(['s-1', 's-bad', 's-2'].map((id) => flows.add(flow(id))));
  expect(added.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await stored()).toEqual(expect.arrayContaining(['d-s-1', 'd-s-2', 's-1', 's-2']));
});

it('a flow whose data cannot be written fails alone', async () => {
  const added = await Promise.allSettled([flows.add(flow('s-1')), flows.add(flow('s-bad', { size: 1n }))]);
  expect(added.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  expect(await stored()).toEqual(['d-s-1', 's-1']);
});

it('adds all flows although Redis has forgotten all scripts', async () => {
  await flows.add(flow('s-0'));
  await redis.script('FLUSH');
  await Promise.all(['s-1', 's-2'].map((id) => flows.add(flow(id))));
  expect(await stored()).toEqual(['d-s-0', 'd-s-1', 'd-s-2', 's-0', 's-1', 's-2']);
});
