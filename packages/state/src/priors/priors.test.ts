import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { forgetStudy } from '../records/forget-study.ts';
import { Records } from '../records/records.ts';
import { withoutJobs } from '../records/forget-script.ts';
import { redisKeys } from '../keys/redis-keys.ts';
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

it('is worked on by one at a time; who has lost it writes nothing', async () => {
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
