import { redisNow } from '@dicom-dispatch/state/redis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { jobPlace } from '../queues/index.ts';
import { startTestPipeline, type TestPipeline } from '../testing/start-test-pipeline.ts';
import { Findings } from './reconcile-context.ts';
import { reconcileParents, reconcileTasks } from './reconcile-tasks.ts';

let test: TestPipeline;
let startedAt: number;
beforeAll(async () => {
  test = await startTestPipeline();
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
  startedAt = await now();
});

const now = () => redisNow(test.redis, test.config.redis.prefix);
const onSuccess = { labels: ['sent'], metadata: {}, unprotect: false, delete: false };
const index = () => test.operations.keys.index('tasks');
const error = { code: 'source-unreachable', stage: 'finalize', fault: 'source', message: 'away', remedy: 'x' } as const;
const place = (id: string) => jobPlace(test.redis, test.operations.queues.study(), id);

/** A study task whose only delivery is in a state. */
async function task(study = '1.2', state = 'delivered'): Promise<string> {
  const { studyTaskId, added } = await test.enqueue(study, { onSuccess });
  await test.operations.records.update(added[0]!.deliveryId, { state: state as 'delivered' });
  return studyTaskId;
}

async function pass(): Promise<Findings> {
  for (const id of await test.redis.zrange(index(), '0', '-1')) await test.redis.zadd(index(), 0, id);
  const findings = new Findings();
  await reconcileTasks(test.reconciling, findings, 100);
  return findings;
}
const repairs = ({ repairs: found }: Findings): object => Object.fromEntries(found);

/** The next check of a task is this number of minutes after a time within the test; undefined: it has none. */
async function expectNextLook(id: string, minutes: number | undefined): Promise<void> {
  const at = await test.redis.zscore(index(), id);
  if (minutes === undefined) return expect(at).toBeNull();
  expect(Number(at)).toBeGreaterThanOrEqual(startedAt + minutes * 60_000);
  expect(Number(at)).toBeLessThanOrEqual((await now()) + minutes * 60_000);
}

describe('a step after success is checked again', () => {
  it.each([
    ['arrived', 'delivered', 1],
    ['open', 'active', 5],
    ['ended without success', 'failed', 30],
    ['moved, without records of the others', 'moved', 60],
  ])('when its deliveries are %s', async (_what, state, minutes) => {
    const id = await task('1.2', state);
    await pass();
    await expectNextLook(id, minutes);
  });

  it('later, when it is postponed', async () => {
    const id = await task();
    await test.tasks.putOff(id, 1_800_000, error);
    await pass();
    await expectNextLook(id, 31);
  });

  it('never, when it is done', async () => {
    const id = await task();
    await test.tasks.finish(id, [], []);
    await test.redis.zadd(index(), 0, id);
    expect(repairs(await pass())).toEqual({});
    await expectNextLook(id, undefined);
    expect((await place(id)).state).toBe('waiting-children');
  });

  it('never, when nothing is known of it', async () => {
    await test.redis.zadd(index(), 0, 's-gone');
    const findings = await pass();
    expect([repairs(findings), findings.checked]).toEqual([{}, 1]);
    await expectNextLook('s-gone', undefined);
  });
});

it('a limited number of steps is checked, the longest unchecked first', async () => {
  const [third, first, second] = [await task('1.2'), await task('1.3'), await task('1.4')];
  await test.redis.zadd(index(), 1, first, 2, second, 3, third);
  const findings = new Findings();
  await reconcileTasks(test.reconciling, findings, 2);
  expect(findings.checked).toBe(2);
  for (const id of [first, second]) await expectNextLook(id, 1);
  expect(await test.redis.zscore(index(), third)).toBe('3');
});

describe('a step whose deliveries are unknown', () => {
  const age = (id: string, days: number) =>
    test.redis.hset(test.operations.keys.task(id), 'updatedAt', Date.now() - days * 86_400_000);

  it('is abandoned after a week', async () => {
    const id = await task('1.2', 'moved');
    await age(id, 6.9);
    await pass();
    expect(await test.tasks.read(id)).toMatchObject({ state: 'waiting' });
    await age(id, 7.1);
    await pass();
    expect(await test.tasks.read(id)).toMatchObject({
      state: 'done',
      left: ['its deliveries are not known'],
      done: [],
    });
    await expectNextLook(id, undefined);
  });

  it('is not abandoned while one of its deliveries is known', async () => {
    const id = await task('1.2', 'failed');
    await age(id, 100);
    await pass();
    expect(await test.tasks.read(id)).toMatchObject({ state: 'waiting' });
  });
});

describe('the job of a step', () => {
  it('that was lost is added for the time to which the step is postponed', async () => {
    const id = await task();
    await (await test.operations.queues.study().getJob(id))?.remove({ removeChildren: false });
    await test.tasks.putOff(id, 1_800_000, error);
    expect(repairs(await pass())).toEqual({ 'task-added': 1 });
    const { state, delayedUntil = 0 } = await place(id);
    expect(state).toBe('delayed');
    expect(Math.abs(delayedUntil - Date.now() - 1_800_000)).toBeLessThan(60_000);
    expect((await test.operations.queues.study().getJob(id))?.data).toMatchObject({ studyTaskId: id, onSuccess });
    expect(repairs(await pass())).toEqual({});
  });

  it('that has ended runs again', async () => {
    const id = await task();
    const studies = test.operations.queues.study();
    await test.redis.zrem(studies.toKey('waiting-children'), id);
    await test.redis.zadd(studies.toKey('failed'), 1, id);
    expect(repairs(await pass())).toEqual({ 'task-revived': 1 });
    expect((await place(id)).state).toBe('ready');
  });

  it('that waits for its deliveries is released when all have arrived', async () => {
    await task();
    expect(repairs(await pass())).toEqual({ 'task-released': 1 });
    expect(repairs(await pass())).toEqual({});
  });
});

it('a step that has failed is a problem, with its error', async () => {
  const id = await task();
  expect([...(await pass()).problems.values()]).toEqual([]);
  await test.tasks.wake(id);
  // Not tried yet.
  expect([...(await pass()).problems.values()]).toEqual([]);
  await test.tasks.putOff(id, 60_000, error);
  await test.tasks.putOff(id, 60_000, error);
  const text = 'The step after success in the source main has failed after 2 attempts: away';
  expect([...(await pass()).problems.values()]).toEqual([{ kind: 'after-success', subject: id, text }]);
});

describe('waiting study tasks without actions', () => {
  const cursor = () => test.redis.hget(test.operations.keys.reconcileReport, 'parents-from');
  async function look(limit: number): Promise<Findings> {
    const findings = new Findings();
    await reconcileParents(test.reconciling, findings, limit);
    return findings;
  }
  async function several(states: readonly string[]): Promise<string[]> {
    const ids = [];
    for (const [at, state] of states.entries()) {
      const { studyTaskId, added } = await test.enqueue(`1.3.${at}`);
      await test.operations.records.update(added[0]!.deliveryId, { state: state as 'delivered' });
      ids.push(studyTaskId);
    }
    return ids;
  }

  it('are checked a few at a time, each in turn', async () => {
    await several(['waiting', 'waiting', 'waiting']);
    expect([(await look(2)).checked, await cursor()]).toEqual([2, '2']);
    expect([(await look(2)).checked, await cursor()]).toEqual([1, '0']);
    expect([(await look(3)).checked, await cursor()]).toEqual([3, '3']);
    expect([(await look(3)).checked, await cursor()]).toEqual([0, '0']);
  });

  it('run when all of their deliveries have arrived; none of the others is passed over', async () => {
    const [first = '', second = '', third = ''] = await several(['delivered', 'failed', 'delivered']);
    expect(repairs(await look(2))).toEqual({ 'task-released': 1 });
    expect(await cursor()).toBe('1');
    expect(repairs(await look(2))).toEqual({ 'task-released': 1 });
    const states = await Promise.all([first, second, third].map(async (id) => (await place(id)).state));
    expect(states).toEqual(['ready', 'waiting-children', 'ready']);
  });

  it('of another version are left, and do not stop the others', async () => {
    const [first = '', second = ''] = await several(['delivered', 'delivered']);
    await test.redis.hset(test.operations.queues.study().toKey(first), 'data', '{}');
    expect(repairs(await look(9))).toEqual({ 'task-released': 1 });
    expect([(await place(first)).state, (await place(second)).state]).toEqual(['waiting-children', 'ready']);
  });

  it('that send to a further target have no actions: those are of the whole study task', async () => {
    const first = await test.enqueue('1.2', { onSuccess });
    const { added } = await test.enqueue('1.2', { to: ['a', 'b'], onSuccess });
    const { id = '' } = (await test.operations.queues.target('b').getJob(added[0]!.deliveryId))?.parent ?? {};
    await test.redis.del(test.operations.keys.task(first.studyTaskId));
    await look(9);
    expect(await test.tasks.read(id)).toBeUndefined();
    expect(await test.tasks.read(first.studyTaskId)).toMatchObject({ state: 'waiting' });
  });
});
