import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { redisNow } from '../redis/index.ts';
import { Circuits } from './circuit.ts';

const prefix = '{dicom-dispatch}';
const error = { code: 'target-unreachable', stage: 'connect', fault: 'target', message: 'no', remedy: 'x' } as const;
const closed = {
  state: 'closed',
  openedAt: undefined,
  failures: 0,
  nextProbeAt: undefined,
  retryInMs: 0,
  error: undefined,
};
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

describe('a circuit', () => {
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
    expect(await redis.keys('*:circuit:*')).toEqual([]);
    expect(await circuits.succeed('pacs')).toEqual({ closed: false, waiting: [] });
    expect(await circuits.state('pacs')).toMatchObject({ state: 'closed' });
  });

  it('lets another delivery probe than the one that failed last, but does not wait for one that never arrives', async () => {
    await redis.zadd(`${prefix}:index:target:pacs:waiting`, 1, 'd-1', 2, 'd-2');
    await circuits.fail('pacs', error, { deliveryId: 'd-1' });
    await untilDue();
    const verdicts = [];
    for (let look = 0; look < 4; look += 1) verdicts.push(await circuits.check('pacs', 'd-1'));
    const left = { kind: 'yield', retryInMs: 1_000 };
    expect(verdicts).toEqual([left, left, left, { kind: 'probe' }]);
    await circuits.fail('pacs', error, { deliveryId: 'd-1' });
    await untilDue();
    expect(await circuits.check('pacs', 'd-2')).toEqual({ kind: 'probe' });
    // No other delivery waits.
    await circuits.abandon('pacs');
    await redis.zrem(`${prefix}:index:target:pacs:waiting`, 'd-2');
    expect(await circuits.check('pacs', 'd-1')).toEqual({ kind: 'probe' });
  });

  it('uses the clock of Redis, also if the local one differs', async () => {
    vi.useFakeTimers({ now: Date.now() + 86_400_000, toFake: ['Date'] });
    await circuits.fail('pacs', error, { deliveryId: 'd-1' });
    const { nextProbeAt = 0, retryInMs } = await circuits.state('pacs');
    vi.useRealTimers();
    expect(retryInMs).toBeLessThanOrEqual(60_000);
    expect(nextProbeAt).toBeLessThan(Date.now() + 61_000);
  });

  it('shows since when it is open, why, how often it failed, and when the next probe is due', async () => {
    expect(await circuits.state('pacs')).toEqual(closed);
    const before = await redisNow(redis, prefix);
    await circuits.fail('pacs', error);
    const open = await circuits.state('pacs');
    expect(open).toMatchObject({ state: 'open', failures: 1, error });
    expect(open.openedAt).toBeGreaterThanOrEqual(before);
    expect(open.openedAt).toBeLessThanOrEqual(await redisNow(redis, prefix));
    expect(open.nextProbeAt).toBe((open.openedAt ?? 0) + 60_000);
    expect(open.retryInMs).toBeGreaterThan(0);
    expect(open.retryInMs).toBeLessThanOrEqual(60_000);
    await untilDue();
    expect(await circuits.state('pacs')).toMatchObject({ state: 'open', nextProbeAt: 1, retryInMs: 0 });
    await circuits.check('pacs', 'd-2');
    expect(await circuits.state('pacs')).toMatchObject({ state: 'probing', openedAt: open.openedAt });
    await circuits.fail('pacs', { ...error, message: 'still' });
    expect(await circuits.state('pacs')).toMatchObject({
      state: 'open',
      openedAt: open.openedAt,
      failures: 2,
      error: { message: 'still' },
    });
    await circuits.succeed('pacs');
    expect(await circuits.state('pacs')).toEqual(closed);
  });

  it('counts failures of deliveries that were under way together as one', async () => {
    expect(await circuits.fail('pacs', error, { deliveryId: 'd-1' })).toEqual({ waitMs: 60_000, opened: true });
    const { waitMs, opened } = await circuits.fail('pacs', error, { deliveryId: 'd-2' });
    expect(opened).toBe(false);
    expect(waitMs).toBeGreaterThan(0);
    expect(waitMs).toBeLessThanOrEqual(60_000);
    expect((await circuits.state('pacs')).failures).toBe(1);
  });

  it('waits no longer than the longest pause, unless the target requests more', async () => {
    const waits = [];
    for (let failure = 0; failure < 6; failure += 1) {
      waits.push((await circuits.fail('pacs', error)).waitMs);
      await untilDue();
    }
    expect(waits).toEqual([60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
    expect((await circuits.fail('pacs', error, { retryAfterMs: 900_000 })).waitMs).toBe(900_000);
    await circuits.succeed('pacs');
    expect((await circuits.fail('pacs', error, { retryAfterMs: 1_000 })).waitMs).toBe(60_000);
  });

  it('pauses for 2 s to a minute by default', async () => {
    const usual = new Circuits(redis, prefix);
    expect((await usual.fail('pacs', error)).waitMs).toBe(2_000);
    await redis.hset(`${prefix}:circuit:pacs`, 'failures', 40, 'nextProbeAt', 1);
    expect((await usual.fail('pacs', error)).waitMs).toBe(60_000);
  });

  it('is probed by one at a time: by the next one after it was abandoned or has failed, or after two minutes', async () => {
    await circuits.fail('pacs', error);
    await untilDue();
    expect(await circuits.check('pacs')).toEqual({ kind: 'probe' });
    expect(await circuits.check('pacs', 'd-2')).toEqual({ kind: 'open', retryInMs: 1_000 });
    await circuits.abandon('pacs');
    expect(await circuits.check('pacs', 'd-2')).toEqual({ kind: 'probe' });
    await circuits.fail('pacs', error);
    await untilDue();
    expect(await circuits.check('pacs', 'd-3')).toEqual({ kind: 'probe' });
    // A worker that was killed never reports.
    const left = await redis.pttl(`${prefix}:circuit:pacs:probe`);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(120_000);
  });

  it('can be probed at once when an operator requests it, also by the delivery that failed last', async () => {
    expect(await circuits.probeNow('pacs')).toBe(false);
    await redis.zadd(`${prefix}:index:target:pacs:waiting`, 1, 'd-1', 2, 'd-2');
    await circuits.fail('pacs', error, { deliveryId: 'd-1' });
    expect(await circuits.probeNow('pacs')).toBe(true);
    expect(await circuits.check('pacs', 'd-1')).toEqual({ kind: 'probe' });
    expect((await circuits.state('pacs')).failures).toBe(1);
  });

  it('waits only for deliveries that are known', async () => {
    await circuits.fail('pacs', error);
    expect(await circuits.succeed('pacs')).toEqual({ closed: true, waiting: [] });
  });

  it('remembers when each target last confirmed or rejected an instance', async () => {
    expect(await circuits.answeredAt('pacs')).toBeUndefined();
    const before = await redisNow(redis, prefix);
    await circuits.succeed('pacs');
    const at = await circuits.answeredAt('pacs');
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(await redisNow(redis, prefix));
    expect(await circuits.answeredAt('archive')).toBeUndefined();
  });

  it('of one target does not affect another', async () => {
    await circuits.fail('pacs', error);
    expect(await circuits.check('archive', 'd-1')).toEqual({ kind: 'closed' });
    expect(await circuits.succeed('archive')).toEqual({ closed: false, waiting: [] });
    expect((await circuits.state('pacs')).state).toBe('open');
  });

  it('without Redis is a fault of the ledger, not of the target', async () => {
    const away = new Redis({ host: '127.0.0.1', port: 1, lazyConnect: true, retryStrategy: () => null });
    onTestFinished(() => away.disconnect());
    away.on('error', () => {});
    const unknown = new Circuits(away, prefix);
    for (const act of [
      () => unknown.check('pacs'),
      () => unknown.fail('pacs', error),
      () => unknown.succeed('pacs'),
      () => unknown.abandon('pacs'),
      () => unknown.answeredAt('pacs'),
    ]) {
      await expect(act()).rejects.toMatchObject({
        code: 'ledger-unavailable',
        message: 'Redis did not answer for a circuit',
        cause: expect.any(Error),
      });
    }
  });
});
