import { schedule } from '@dicom-dispatch/core';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { chooseMember } from './choose-member.ts';
import { startTestPipeline, type TestPipeline } from './testing/start-test-pipeline.ts';

let test: TestPipeline;
beforeAll(async () => {
  test = await startTestPipeline();
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
});

/** A window that opens in so many hours from now, for one hour. */
function opensIn(hours: number): ReturnType<typeof schedule.parse> {
  const from = new Date(Date.now() + hours * 3_600_000);
  const to = new Date(from.getTime() + 3_600_000);
  const time = (at: Date): string => at.toISOString().slice(11, 16);
  return schedule.parse({ windows: [{ from: time(from), to: time(to) }] });
}

async function choose(schedules: Readonly<Record<string, ReturnType<typeof opensIn>>>): Promise<string> {
  const targets = Object.fromEntries(
    Object.entries(test.config.targets).map(([name, target]) => [
      name,
      { ...target, ...(schedules[name] && { schedule: schedules[name] }) },
    ]),
  );
  const context = { ...test.operations, config: { ...test.config, targets } };
  const study = {
    source: 'main',
    orthancStudyId: 'o-1',
    studyInstanceUid: '1.2',
    contentHash: 'h',
    transform: undefined,
  };
  const group = { name: 'any', strategy: 'first-available', members: ['a', 'b'] } as const;
  return (await chooseMember(context as never, group, study as never)).target;
}

it('passes over a member that was moved and waits for a decision, is outside of its schedule or paused', async () => {
  expect(await choose({})).toBe('a');
  await test.redis.flushall();
  expect(await choose({ a: opensIn(11) })).toBe('b');
  await test.redis.flushall();
  await test.operations.places.register('a', {
    ...test.config.targets['a']!,
    type: 'folder',
    path: '/elsewhere',
  } as never);
  expect(await choose({})).toBe('b');
  await test.redis.flushall();
  await test.operations.queues.target('a').pause();
  expect(await choose({})).toBe('b');
});

it('takes the one whose schedule opens first when none can be used now', async () => {
  expect(await choose({ a: opensIn(11), b: opensIn(3) })).toBe('b');
});

it('stays with the member that has the study, although the choice was forgotten', async () => {
  expect(await choose({ a: opensIn(11) })).toBe('b');
  const { redis, operations } = test;
  const group = { name: 'any', strategy: 'first-available', members: ['a', 'b'], tried: [], keepsTransform: false };
  const data = {
    source: 'main',
    orthancStudyId: 'o-1',
    target: 'b',
    contentHash: 'h',
    deliveryId: 'd',
    rules: [],
    group,
  };
  await operations.records.routed({ ...data, studyInstanceUid: '1.2', routedAt: 1 } as never, [data as never]);
  await redis.del(operations.keys.choices('main', 'o-1'));
  expect(await choose({})).toBe('b');
});
