import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { Circuits } from './circuit.ts';

const prefix = '{dicom-dispatch}';
const error = { code: 'target-unreachable', stage: 'connect', fault: 'target', message: 'no', remedy: 'x' } as const;
let server: RedisServer;
let redis: Redis;
let circuits: Circuits;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  circuits = new Circuits(redis, prefix, { firstMs: 60_000, maxMs: 600_000 });
});
afterEach(() => vi.useRealTimers());

/** As if the pause was over. */
const untilDue = () => redis.hset(`${prefix}:circuit:pacs`, 'nextProbeAt', 1);

it('opens for longer and longer, and closes when the target answers', async () => {
  expect(await circuits.check('pacs', 'd-1')).toEqual({ kind: 'closed' });
  expect(await circuits.fail('pacs', error, { deliveryId: 'd-1' })).toEqual({ waitMs: 60_000, opened: true });
  expect(await circuits.check('pacs', 'd-2')).toMatchObject({ kind: 'open' });
  await untilDue();
  expect(await circuits.check('pacs', 'd-2')).toEqual({ kind: 'probe' });
  expect(await circuits.check('pacs', 'd-3')).toEqual({ kind: 'open', retryInMs: 1_000 });
  expect(await circuits.fail('pacs', error, { deliveryId: 'd-2' })).toEqual({ waitMs: 120_000, opened: false });
  const { closed, waiting } = await circuits.succeed('pacs');
  expect(closed).toBe(true);
  expect([...waiting].sort()).toEqual(['d-1', 'd-2']);
  expect(await circuits.succeed('pacs')).toEqual({ closed: false, waiting: [] });
  expect(await circuits.state('pacs')).toMatchObject({ state: 'closed' });
});

it('lets another delivery probe than the one that failed last, but does not wait for one that never arrives', async () => {
  await redis.zadd(`${prefix}:index:target:pacs:waiting`, 1, 'd-1', 2, 'd-2');
  await circuits.fail('pacs', error, { deliveryId: 'd-1' });
  await untilDue();
  const kinds = [];
  for (let look = 0; look < 4; look += 1) kinds.push((await circuits.check('pacs', 'd-1')).kind);
  expect(kinds).toEqual(['yield', 'yield', 'yield', 'probe']);
  await circuits.fail('pacs', error, { deliveryId: 'd-1' });
  await untilDue();
  expect(await circuits.check('pacs', 'd-2')).toEqual({ kind: 'probe' });
  // It is the only one.
  await circuits.abandon('pacs');
  await redis.zrem(`${prefix}:index:target:pacs:waiting`, 'd-2');
  expect(await circuits.check('pacs', 'd-1')).toEqual({ kind: 'probe' });
});

it('uses the clock of Redis, whatever the local one shows', async () => {
  vi.useFakeTimers({ now: Date.now() + 86_400_000, toFake: ['Date'] });
  await circuits.fail('pacs', error, { deliveryId: 'd-1' });
  const { nextProbeAt = 0, retryInMs } = await circuits.state('pacs');
  vi.useRealTimers();
  expect(retryInMs).toBeLessThanOrEqual(60_000);
  expect(nextProbeAt).toBeLessThan(Date.now() + 61_000);
});
