import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { forgetStudy } from '../records/forget-study.ts';
import { Records } from '../records/records.ts';
import { withoutJobs } from '../records/forget-script.ts';
import { redisKeys } from '../keys/redis-keys.ts';
import { redisNow } from '../redis/index.ts';
import type { PriorsStep } from './prior-types.ts';
import { Priors } from './priors.ts';
import { PulledStudies } from './pulled-studies.ts';

const prefix = '{dicom-dispatch}';
let server: RedisServer;
let redis: Redis;
let priors: Priors;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  priors = new Priors(redis, prefix);
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const key = { source: 'main', orthancStudyId: 'o-1' };
const terms = { rule: 'r', count: 2, from: 'source', first: true, wait: 60_000 };
const delivery = (more: object = {}) =>
  ({ ...key, studyInstanceUid: '1.2.3', target: 'a', deliveryId: 'd-1', priors: [terms], ...more }) as Parameters<
    Priors['open']
  >[0];

it('a step starts once for a study and target, also with late instances, and again for other terms', async () => {
  const step = await priors.open(delivery());
  expect(step).toMatchObject({ state: 'looking', deliveryId: 'd-1', terms: [terms], chosen: [] });
  expect(step.waitUntil).toBe(step.openedAt + 60_000);
  expect(await priors.open(delivery({ deliveryId: 'd-2' }))).toEqual(step);
  const others = [{ target: 'b' }, { nonce: 'n' }, { priors: [{ ...terms, count: 1, first: false }] }];
  for (const more of others) expect((await priors.open(delivery(more))).id).not.toBe(step.id);
  const steps = await priors.of(key);
  expect(steps).toHaveLength(4);
  expect(steps.filter(({ waitUntil }) => waitUntil === undefined).map(({ terms: [one] }) => one?.first)).toEqual([
    false,
  ]);
});

describe('a step', () => {
  it('is worked on by one at a time; a process that has lost it writes nothing', async () => {
    const step = await priors.open(delivery());
    expect((await priors.claim('one'))?.id).toBe(step.id);
    expect(await priors.claim('two')).toBeUndefined();
    expect(await priors.renew(step, 'two')).toBe(false);
    // The lease has expired.
    await redis.zadd(redisKeys(prefix).index('priors'), 'XX', 0, `main o-1 ${step.id}`);
    expect((await priors.claim('two'))?.id).toBe(step.id);
    expect(await priors.save({ ...step, state: 'done' }, 'one', 'end')).toBe(false);
    expect(await priors.renew(step, 'one')).toBe(false);
    expect(await priors.save({ ...step, state: 'sending' }, 'two', 'keep')).toBe(true);
    expect(await priors.claim('three')).toBeUndefined();
    expect(await priors.save({ ...step, state: 'sending' }, 'two', { inMs: 0 })).toBe(true);
    expect(await priors.claim('three')).toMatchObject({ state: 'sending' });
    expect(await priors.save({ ...step, state: 'done' }, 'three', 'end')).toBe(true);
    expect(await priors.claim('four')).toBeUndefined();
    expect((await priors.open(delivery())).state).toBe('done');
    expect([await priors.goWithout(step), await priors.goWithout(step)]).toEqual([true, false]);
  });

  it('starts again after it was dropped', async () => {
    const step = await priors.open(delivery());
    await priors.claim('one');
    await priors.goWithout(step);
    expect(await priors.drop(step, 'one')).toBe(true);
    expect(await redis.exists(redisKeys(prefix).priors('main', 'o-1'))).toBe(0);
    expect((await priors.open(delivery())).id).toBe(step.id);
    expect(await priors.goWithout(step)).toBe(true);
  });

  it('is forgotten with its study', async () => {
    await new Records(redis, prefix).routed(
      { ...key, studyInstanceUid: '1.2.3', routedAt: 1, rules: [], targets: [], contentHash: 'h' } as never,
      [],
    );
    await priors.open(delivery());
    await priors.open(delivery({ target: 'b' }));
    const { answer } = await forgetStudy(redis, prefix, key, {
      before: Date.now(),
      sourceOfTarget: {},
      jobs: withoutJobs,
      keys: { choices: `${prefix}:c`, held: `${prefix}:h`, waits: `${prefix}:w`, left: `${prefix}:l` },
    });
    expect(answer).toBe('forgotten');
    expect(await redis.keys('*prior*')).toEqual([]);
  });
});

it('one process at a time pulls a study', async () => {
  const pulled = new PulledStudies(redis, prefix);
  expect(await pulled.lease('main', '1.2.3', 'one', 30_000)).toBe(true);
  expect(await pulled.lease('main', '1.2.3', 'one', 30_000)).toBe(true);
  expect(await pulled.lease('main', '1.2.3', 'two', 30_000)).toBe(false);
  await pulled.release('main', '1.2.3', 'two');
  expect(await pulled.lease('main', '1.2.3', 'two', 30_000)).toBe(false);
  await pulled.release('main', '1.2.3', 'one');
  expect(await pulled.lease('main', '1.2.3', 'two', 30_000)).toBe(true);
  // A lock taken before the clock of Redis was set back does not block others.
  await pulled.lease('main', '1.2.3', 'two', 86_400_000);
  expect(await pulled.lease('main', '1.2.3', 'one', 30_000)).toBe(true);
  await pulled.expect('main', '1.2.3', '1.2.3.1');
  await pulled.expect('main', '1.2.3', '1.2.3.2');
  await pulled.retract('main', '1.2.3', '1.2.3.1');
  expect([...(await pulled.underWay('main', '1.2.3'))]).toEqual(['1.2.3.2']);
  await pulled.end('main', '1.2.3');
  expect((await pulled.underWay('main', '1.2.3')).size).toBe(0);
});

it('the step that has been due longest is taken first, for the time of its lease, and steps are listed by age', async () => {
  const index = redisKeys(prefix).index('priors');
  const steps: PriorsStep[] = [];
  for (const target of ['a', 'b', 'c']) steps.push(await priors.open(delivery({ target })));
  const member = (at: number): string => `main o-1 ${steps[at]?.id}`;
  await redis.zadd(index, 3, member(0), 1, member(1), 2, member(2));
  const before = await redisNow(redis, prefix);
  expect((await priors.claim('one'))?.target).toBe('b');
  const due = Number(await redis.zscore(index, member(1)));
  expect(due).toBeGreaterThanOrEqual(before + 30_000);
  expect(due).toBeLessThanOrEqual((await redisNow(redis, prefix)) + 30_000);
  expect((await priors.claim('one', 5_000))?.target).toBe('c');
  expect(Number(await redis.zscore(index, member(2)))).toBeLessThan(due);
  expect(await priors.renew(steps[2]!, 'one', 600_000)).toBe(true);
  expect(Number(await redis.zscore(index, member(2)))).toBeGreaterThan(before + 590_000);
  expect(await priors.renew(steps[2]!, 'one')).toBe(true);
  expect(Number(await redis.zscore(index, member(2)))).toBeLessThan(before + 590_000);
  expect(await priors.save(steps[1]!, 'one', { inMs: 60_000.2 })).toBe(true);
  expect(Number(await redis.zscore(index, member(1)))).toBeGreaterThan(before + 59_000);
  const hash = redisKeys(prefix).priors('main', 'o-1');
  const opened = [3, 1, 2];
  for (const [at, step] of steps.entries()) {
    await redis.hset(hash, step.id, JSON.stringify({ ...step, openedAt: opened[at] }));
  }
  expect((await priors.of(key)).map(({ target }) => target)).toEqual(['b', 'c', 'a']);
  for (const step of steps) await redis.hset(hash, step.id, JSON.stringify({ ...step, openedAt: 1 }));
  const ids = (await priors.of(key)).map(({ id }) => id);
  expect(ids).toEqual(ids.toSorted());
  // A step whose study is gone is skipped.
  await redis.del(hash);
  await redis.zadd(index, 1, 'main o-9 p-9');
  expect(await priors.claim('two')).toBeUndefined();
  expect(await redis.zscore(index, 'main o-9 p-9')).toBeNull();
});

it('a new step has its first values, and waits for the longest of its terms', async () => {
  const two = [
    { ...terms, wait: 5_000 },
    { ...terms, wait: 9_000 },
    { ...terms, wait: 99_000, first: false },
  ];
  const step = await priors.open(delivery({ priors: two }));
  expect(step).toEqual({
    ...key,
    id: expect.stringMatching(/^p-[0-9a-f]{20}$/) as string,
    studyInstanceUid: '1.2.3',
    target: 'a',
    deliveryId: 'd-1',
    terms: two,
    state: 'looking',
    attempts: 0,
    chosen: [],
    left: [],
    leftCount: 0,
    openedAt: step.openedAt,
    waitUntil: step.openedAt + 9_000,
  });
  const none = await priors.open(delivery({ priors: undefined }));
  expect(none).toMatchObject({ terms: [] });
  expect(none).not.toHaveProperty('waitUntil');
  expect((await priors.open(delivery({ transform: { name: 't' } }))).id).not.toBe(step.id);
});

it('instances of a pull that never ends are forgotten after a week', async () => {
  const pulled = new PulledStudies(redis, prefix);
  await pulled.expect('main', '1.2.3', '1');
  const left = await redis.pttl(redisKeys(prefix).pulling('main', '1.2.3'));
  expect(left).toBeGreaterThan(6 * 86_400_000);
  expect(left).toBeLessThanOrEqual(7 * 86_400_000);
  await pulled.lease('main', '1.2.3', 'one', 5_000);
  expect(await redis.pttl(`${redisKeys(prefix).pulling('main', '1.2.3')}:lock`)).toBeLessThanOrEqual(5_000);
});
