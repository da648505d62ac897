import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  applyLimits,
  endOperatorLimits,
  readOperatorLimits,
  setConcurrency,
  setRate,
  type LimitsContext,
} from './target-limits.ts';
import { startTestPipeline, type TestPipeline } from './testing/start-test-pipeline.ts';

let test: TestPipeline;
let context: LimitsContext;
beforeAll(async () => {
  test = await startTestPipeline();
  context = test.operations;
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
});

const configured = { concurrency: 4, rateLimit: { deliveriesPerMinute: 30 } } as Parameters<typeof applyLimits>[2];
const learn = (concurrency: number) =>
  test.redis.hset(test.operations.keys.learnt, 'a', JSON.stringify({ concurrency, at: 1 }));

async function limits(target = 'a') {
  const queue = test.operations.queues.target(target);
  const rate = await queue.getGlobalRateLimit();
  return { concurrency: await queue.getGlobalConcurrency(), rate: rate && `${rate.max} in ${rate.duration}` };
}

it('the limits of the configuration apply to all dispatchers', async () => {
  await applyLimits(context, 'a', configured);
  expect(await limits()).toEqual({ concurrency: 4, rate: '30 in 60000' });
  expect(await limits('b')).toEqual({ concurrency: null, rate: null });
  await applyLimits(context, 'a', { concurrency: 2 } as never);
  expect(await limits()).toEqual({ concurrency: 2, rate: null });
});

it('limits of an operator apply until the configuration changes', async () => {
  await applyLimits(context, 'a', configured);
  expect(await readOperatorLimits(context, 'a')).toEqual({});
  await setConcurrency(context, 'a', 7);
  await setRate(context, 'a', 5);
  expect(await readOperatorLimits(context, 'a')).toEqual({ concurrency: 7, deliveriesPerMinute: 5 });
  expect(await readOperatorLimits(context, 'b')).toEqual({});
  expect(await limits()).toEqual({ concurrency: 7, rate: '5 in 60000' });
  await applyLimits(context, 'a', configured);
  expect(await limits()).toEqual({ concurrency: 7, rate: '5 in 60000' });
  await applyLimits(context, 'a', { ...configured, concurrency: 3 });
  expect(await limits()).toEqual({ concurrency: 3, rate: '30 in 60000' });
  expect(await readOperatorLimits(context, 'a')).toEqual({});
});

it('an operator can remove the limit of the rate, and a restart keeps that', async () => {
  await applyLimits(context, 'a', configured);
  await setRate(context, 'a', undefined);
  expect(await limits()).toEqual({ concurrency: 4, rate: null });
  expect(await readOperatorLimits(context, 'a')).toEqual({ deliveriesPerMinute: null });
  await applyLimits(context, 'a', configured);
  expect(await limits()).toEqual({ concurrency: 4, rate: null });
});

it('a changed rate in the configuration ends the limits of an operator, too', async () => {
  await applyLimits(context, 'a', configured);
  await setConcurrency(context, 'a', 7);
  await applyLimits(context, 'a', { ...configured, rateLimit: { deliveriesPerMinute: 31 } });
  expect(await limits()).toEqual({ concurrency: 4, rate: '31 in 60000' });
});

it('limits of operators end when the configuration is loaded again', async () => {
  await applyLimits(context, 'a', configured);
  await setConcurrency(context, 'a', 7);
  await setRate(context, 'a', 5);
  await endOperatorLimits(context);
  await applyLimits(context, 'a', configured);
  expect(await limits()).toEqual({ concurrency: 4, rate: '30 in 60000' });
});

it('a receiver that accepts fewer connections lowers the concurrency, and never raises it', async () => {
  await applyLimits(context, 'a', configured);
  await learn(2);
  await applyLimits(context, 'a', configured);
  expect(await limits()).toEqual({ concurrency: 2, rate: '30 in 60000' });
  await learn(9);
  await applyLimits(context, 'a', configured);
  expect(await limits()).toMatchObject({ concurrency: 4 });
});

it('what a receiver accepts is tried again after an operator or the configuration has changed the concurrency', async () => {
  await applyLimits(context, 'a', configured);
  await learn(2);
  await setConcurrency(context, 'a', 3);
  expect(await limits()).toMatchObject({ concurrency: 3 });
  await applyLimits(context, 'a', configured);
  expect(await limits()).toMatchObject({ concurrency: 3 });
  await learn(2);
  await applyLimits(context, 'a', { ...configured, concurrency: 5 });
  expect(await limits()).toMatchObject({ concurrency: 5 });
});

it.each<[string, () => Promise<void>]>([
  ['concurrency', () => setConcurrency(context, 'a', 7)],
  ['rate', () => setRate(context, 'a', 7)],
])('a worker that waits notices at once that an operator has changed the %s', async (_what, change) => {
  const marker = test.operations.queues.target('a').toKey('marker');
  await change();
  expect(await test.redis.zrange(marker, '0', '-1')).toEqual(['0']);
});
