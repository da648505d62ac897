import { DispatchError, ledgerKeyOf } from '@dicom-dispatch/core';
import { waitFor } from '@dicom-dispatch/harness';
import { createLedger } from '@dicom-dispatch/state/ledger';
import { act, fromNow, membersOfUid, uidPlace } from '@dicom-dispatch/state/records';
import { redisKeys, rowOfKey } from '@dicom-dispatch/state/keys';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { jobPlace } from '../queues/index.ts';
import { applyLimits } from '../target-limits.ts';
import { startTestPipeline, type TestPipeline } from '../testing/start-test-pipeline.ts';
import { foldFinished } from './fold-finished.ts';
import { readReconcileReport, reconcile, startReconciler } from './index.ts';

let test: TestPipeline;
let prefix: string;

beforeAll(async () => {
  test = await startTestPipeline();
  prefix = test.config.redis.prefix;
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
});

const place = async (id: string, target = 'a'): Promise<string> =>
  (await jobPlace(test.redis, test.operations.queues.target(target), id)).state;

/** One pass that treats everything as due. */
async function pass(): Promise<Record<string, number>> {
  for (const index of ['open', 'tasks']) {
    const key = `${prefix}:index:${index}`;
    for (const id of await test.redis.zrange(key, '0', '-1')) await test.redis.zadd(key, 0, id);
  }
  const { repairs, problems } = await reconcile(test.reconciling);
  expect([...problems.values()].filter(({ kind }) => kind === 'failed')).toEqual([]);
  return Object.fromEntries(repairs);
}

async function deliver(study: string, options?: Parameters<TestPipeline['enqueue']>[1]): Promise<string> {
  return (await test.enqueue(study, options)).added[0]?.deliveryId ?? '';
}

describe('an open delivery', () => {
  it('that has what it needs is left alone', async () => {
    const id = await deliver('1.2.1');
    expect(await pass()).toEqual({});
    expect(await place(id)).toBe('ready');
    // And is not checked again immediately.
    expect((await reconcile(test.reconciling)).checked).toBeLessThan(2);
  });

  it('gets a job if it has none: removed, obliterated, or never added', async () => {
    const first = await deliver('1.2.2');
    await test.operations.queues.target('a').remove(first);
    const second = await deliver('1.2.3', { to: ['b'] });
    await test.operations.queues.target('b').obliterate({ force: true });
    expect(await pass()).toMatchObject({ 'job-added': 2 });
    expect([await place(first), await place(second, 'b')]).toEqual(['ready', 'ready']);
    expect(await pass()).toEqual({});
  });

  it('whose job has ended, or is named by no list, gets it going again', async () => {
    const queue = test.operations.queues.target('a');
    const [failed, completed, nowhere] = [await deliver('1.2.4'), await deliver('1.2.5'), await deliver('1.2.6')];
    for (const [id, set] of [
      [failed, 'failed'],
      [completed, 'completed'],
      [nowhere, ''],
    ] as const) {
      await test.redis.zrem(queue.toKey('prioritized'), id);
      if (set !== '') await test.redis.zadd(queue.toKey(set), Date.now(), id);
    }
    expect(await pass()).toEqual({ 'job-revived': 2, 'job-added': 1 });
    for (const id of [failed, completed, nowhere]) expect(await place(id)).toBe('ready');
  });

  it('whose job would run too late is brought forward; a postponed one keeps its time', async () => {
    const queue = test.operations.queues.target('a');
    const [due, later, opened] = [await deliver('1.2.7'), await deliver('1.2.8'), await deliver('1.2.9')];
    for (const id of [due, later, opened]) {
      await test.redis.zrem(queue.toKey('prioritized'), id);
      await test.redis.zadd(queue.toKey('delayed'), (Date.now() + 86_400_000) * 4096, id);
    }
    // The schedule of its target was removed.
    for (const [id, wake] of [
      [later, 'due'],
      [opened, 'schedule'],
    ] as const) {
      await test.operations.records.change(id, {
        ...act('wake'),
        patch: { wake, nextAttemptAt: fromNow(86_400_000) },
      });
    }
    expect(await pass()).toEqual({ 'job-advanced': 2 });
    expect([await place(due), await place(later), await place(opened)]).toEqual(['ready', 'delayed', 'ready']);
  });

  it('that waits in its queue since its window has opened is unchanged', async () => {
    const id = await deliver('1.2.42');
    const { records } = test.operations;
    await records.change(id, { ...act('wake'), patch: { wake: 'schedule', nextAttemptAt: fromNow() } });
    const before = await records.delivery(id);
    expect(await pass()).toEqual({});
    expect(await records.delivery(id)).toEqual(before);
  });

  it('that was postponed while the clock of Redis was a day ahead continues when it is set back, unless it is held', async () => {
    const { operations, redis, reconciling } = test;
    const keys = redisKeys(prefix);
    const queue = operations.queues.target('a');
    const [due, held] = [await deliver('1.2.40'), await deliver('1.2.41', { hold: true })];
    const day = 86_400_000;
    for (const id of [due, held]) {
      await redis.zrem(queue.toKey('prioritized'), id);
      await redis.zadd(queue.toKey('delayed'), (Date.now() + day) * 4096, id);
      await redis.hset(keys.delivery(id), 'nextAttemptAt', Date.now() + day);
      await redis.zadd(keys.index('open'), Date.now() + day, id);
    }
    await operations.circuits.fail('a', new DispatchError('target-unreachable', 'refused').toRecord());
    await redis.hset(keys.circuit('a'), 'nextProbeAt', Date.now() + day);
    await redis.set(keys.circuitProbe('a'), 'gone', 'PX', day);
    await redis.zadd(keys.feedLater('main'), Date.now() + day, 'o-9');
    await redis.zadd(keys.index('priors'), Date.now() + day, 'main o-9 p-1');
    await redis.hset(keys.reconcileReport, 'at', Date.now() + day);
    // The lease of a process that has ended since.
    await redis.set(keys.reconcileLease, 'gone', 'PX', day);
    expect((await readReconcileReport(redis, prefix)).ageMs).toBeGreaterThan(day - 60_000);
    const reconciler = startReconciler(reconciling, { everyMs: 600 });
    try {
      await waitFor(async () => (await readReconcileReport(redis, prefix)).repairedInAll['clock-set-back'] === 1);
    } finally {
      reconciler.stop();
    }
    expect([await place(due), await place(held)]).toEqual(['ready', 'delayed']);
    expect((await operations.records.delivery(due))?.nextAttemptAt).toBeUndefined();
    expect(await operations.circuits.check('a')).toEqual({ kind: 'probe' });
    expect(Number(await redis.zscore(keys.feedLater('main'), 'o-9'))).toBeLessThanOrEqual(Date.now());
    expect(Number(await redis.zscore(keys.index('priors'), 'main o-9 p-1'))).toBeLessThanOrEqual(Date.now());
    expect((await readReconcileReport(redis, prefix)).ageMs).toBeLessThan(60_000);
  });

  it('whose dispatcher is gone continues; one whose lock is held is unchanged', async () => {
    const [gone, alive] = [await deliver('1.2.9'), await deliver('1.2.10')];
    const queue = test.operations.queues.target('a');
    for (const id of [gone, alive]) {
      const lock = `${queue.toKey(id)}:lock`;
      await test.redis.set(lock, 'token');
      const patch = { state: 'active', wake: 'attempt', lock, token: 'token', worker: 'host-1' } as const;
      await test.operations.records.change(id, { ...act('begin'), patch });
    }
    // Its job has vanished with it.
    await test.redis.del(`${queue.toKey(gone)}:lock`);
    await queue.remove(gone);
    expect(await pass()).toMatchObject({ 'dispatcher-gone': 1 });
    expect(await test.operations.records.delivery(gone)).toMatchObject({ state: 'waiting', losses: 1 });
    expect(await place(gone)).toBe('ready');
    expect(await test.operations.records.delivery(alive)).toMatchObject({ state: 'active' });
    expect((await test.operations.records.events(gone)).at(-1)?.text).toBe('the dispatcher host-1 is gone');
  });

  it('that an operator has cancelled ends, if its record was not cancelled yet', async () => {
    const id = await deliver('1.2.11');
    await test.redis.set(`${prefix}:cancelled:${id}`, '1');
    expect(await pass()).toEqual({ 'cancel-finished': 1 });
    expect(await test.operations.records.delivery(id)).toMatchObject({ state: 'cancelled' });
    expect(await place(id)).toBe('failed');
  });

  it('that is held waits for an operator and needs no job; after its release it continues', async () => {
    const id = await deliver('1.2.12', { hold: true });
    await test.operations.queues.target('a').remove(id);
    expect(await pass()).toEqual({});
    expect(await place(id)).toBe('missing');
    await test.operations.records.change(id, { ...act('release'), patch: { wake: 'job' } });
    expect(await pass()).toEqual({ 'job-added': 1 });
  });

  it('of a target that is not configured is a problem for a person', async () => {
    const id = await deliver('1.2.13');
    const { targets, ...rest } = test.config;
    const without = { ...rest, targets: { b: targets['b'] } } as typeof test.config;
    await test.redis.zadd(`${prefix}:index:open`, 0, id);
    await reconcile({ ...test.reconciling, config: () => without });
    const report = await readReconcileReport(test.redis, prefix);
    expect(report.problems).toMatchObject([{ kind: 'target-unknown', subject: 'a' }]);
    expect(report.open).toBe(1);
  });

  it('of an earlier version is found too', async () => {
    const id = await deliver('1.2.14');
    await test.redis.hdel(`${prefix}:delivery:${id}`, 'wake', 'since');
    await test.redis.del(`${prefix}:index:open`);
    await test.operations.queues.target('a').remove(id);
    expect(await pass()).toMatchObject({ 'index-rebuilt': 1, 'job-added': 1 });
  });
});

describe('one key that is lost alone', () => {
  const keys = () => redisKeys(prefix);
  const passed = async (kind: string): Promise<void> => {
    expect(Object.keys(await pass())).toContain(kind);
    expect(await pass()).toEqual({});
  };

  it('the record of a delivery is made again from its job', async () => {
    const id = await deliver('1.2.50');
    const before = await test.operations.records.delivery(id);
    await test.redis.del(keys().delivery(id));
    await passed('record-restored');
    const after = await test.operations.records.delivery(id);
    expect(after).toMatchObject({ deliveryId: id, target: 'a', state: 'waiting', contentHash: before?.contentHash });
    expect(await place(id)).toBe('ready');
    expect((await test.operations.records.events(id)).at(-1)?.text).toContain('missing in Redis');
  });

  it.each(['delivered', 'partial', 'failed', 'source-gone', 'cancelled', 'moved', 'resolved'] as const)(
    'the record of a delivery that has ended as %s is restored as ended, and does not start again',
    async (state) => {
      const { redis, operations } = test;
      const id = await deliver('1.2.51');
      const queue = operations.queues.target('a');
      await redis.zrem(queue.toKey('prioritized'), id);
      await redis.zadd(queue.toKey('failed'), Date.now(), id);
      const error = { code: 'internal', stage: 'transfer', fault: 'target', message: 'x', remedy: 'y' } as never;
      await operations.records.update(id, { state, ...(state === 'failed' && { error }) });
      const before = await operations.records.delivery(id);
      await redis.del(keys().delivery(id));
      expect(await pass()).toMatchObject({ 'record-restored': 1 });
      // Its study task may run now.
      await pass();
      expect(await pass()).toEqual({});
      const { updatedAt } = before!;
      const confirmed = state === 'delivered' ? 2 : 0;
      const after = { deliveryId: id, state, updatedAt, endedAt: updatedAt, total: 2, confirmed };
      expect(await operations.records.delivery(id)).toMatchObject(after);
      expect(await place(id)).toBe('failed');
      expect(await redis.zscore(keys().index('open'), id)).toBeNull();
      expect((await operations.records.events(id)).at(-1)?.text).toContain('made again as ended');
      expect(await operations.records.errors()).toEqual([]);
    },
  );

  it('the record of a delivery without a job is made again by routing its study again to its target alone', async () => {
    const study = await test.enqueue('1.2.52', { to: ['a', 'b'] });
    const lost = study.added.find(({ target }) => target === 'b')?.deliveryId ?? '';
    await test.operations.queues.target('b').remove(lost);
    await test.redis.del(keys().delivery(lost));
    expect(await pass()).toMatchObject({ 'routed-again': 1 });
    const settled = JSON.parse((await test.redis.hget(keys().settled('main'), 'o-1.2.52')) ?? '{}') as object;
    expect(settled).toMatchObject({ only: ['b'], lastUpdate: '20260101T000000' });
    expect(await test.redis.zscore(keys().waits('main'), 'o-1.2.52')).not.toBeNull();
    // It is not requested a second time before the router has responded.
    expect(await pass()).toEqual({});
    expect(await test.redis.zscore(keys().studyDeliveries('main', 'o-1.2.52'), lost)).not.toBeNull();
    // As the router does.
    await test.enqueue('1.2.52', { to: ['a', 'b'], only: ['b'] });
    await test.redis.zrem(keys().waits('main'), 'o-1.2.52');
    expect(await pass()).toEqual({});
    expect(await test.operations.records.delivery(lost)).toMatchObject({ state: 'waiting', target: 'b' });
    const key = { source: 'main', orthancStudyId: 'o-1.2.52' };
    expect((await test.operations.records.study(key))?.targets).toEqual(['a', 'b']);
    expect(await test.redis.exists(keys().reconcileAsked)).toBe(0);
  });

  it.each(['study', 'delivery'] as const)(
    'a delivery that the router does not make again, without the record of its %s, is a problem for a person',
    async (without) => {
      const { redis } = test;
      const lost = await deliver('1.2.59');
      await test.operations.queues.target('a').remove(lost);
      await redis.del(keys().delivery(lost));
      if (without === 'study') await redis.del(keys().study('main', 'o-1.2.59'));
      expect(await pass()).toMatchObject({ 'routed-again': 1 });
      // The router found nothing to do.
      await redis.zrem(keys().waits('main'), 'o-1.2.59');
      for (let passes = 0; passes < 2; passes += 1) {
        const { repairs, problems } = await reconcile(test.reconciling);
        expect(repairs.size).toBe(0);
        expect([...problems.values()]).toMatchObject([{ kind: 'not-routed', subject: 'main o-1.2.59' }]);
      }
      await test.enqueue('1.2.59');
      expect(await pass()).toEqual({});
      expect((await readReconcileReport(redis, prefix)).problems).toEqual([]);
      expect(await redis.exists(keys().reconcileAsked)).toBe(0);
    },
  );

  it.each(['cancelled', 'moved', 'resolved'] as const)(
    'a delivery that has ended as %s, without record and job, is not routed again',
    async (state) => {
      const { redis, operations } = test;
      const study = await test.enqueue('1.2.60', { to: ['a', 'b'] });
      const [lost, other] = ['b', 'a'].map((to) => study.added.find(({ target }) => target === to)?.deliveryId ?? '');
      await operations.records.update(lost!, { state });
      await operations.queues.target('b').remove(lost!);
      await redis.del(keys().delivery(lost!));
      expect(await pass()).toEqual({});
      expect((await readReconcileReport(redis, prefix)).problems).toEqual([]);
      expect(await redis.zscore(keys().waits('main'), 'o-1.2.60')).toBeNull();
      // Another lost record is routed again: only to its target.
      await operations.queues.target('a').remove(other!);
      await redis.del(keys().delivery(other!));
      expect(await pass()).toMatchObject({ 'routed-again': 1 });
      const settled = JSON.parse((await redis.hget(keys().settled('main'), 'o-1.2.60')) ?? '{}') as object;
      expect(settled).toMatchObject({ only: ['a'] });
    },
  );

  it('a cancelled delivery with a transform, without record and job, is not routed again with another one', async () => {
    const { redis, operations } = test;
    const study = await test.enqueue('1.2.65', { to: ['b'] });
    const lost = study.added[0]?.deliveryId ?? '';
    const cancelled = { ...study.added[0]!, target: 'a', deliveryId: 'd-with-transform' };
    const record = await operations.records.study(cancelled);
    await operations.records.routed({ ...record!, targets: ['a', 'b'] }, [cancelled]);
    await operations.records.update(cancelled.deliveryId, { state: 'cancelled' });
    await operations.queues.target('b').remove(lost);
    await redis.del(keys().delivery(cancelled.deliveryId), keys().delivery(lost));
    expect(await pass()).toMatchObject({ 'routed-again': 1 });
    const settled = JSON.parse((await redis.hget(keys().settled('main'), 'o-1.2.65')) ?? '{}') as object;
    expect(settled).toMatchObject({ only: ['b'] });
  });

  it('the record and the list of a study are made again', async () => {
    const id = await deliver('1.2.53');
    const key = { source: 'main', orthancStudyId: 'o-1.2.53' };
    await test.redis.del(keys().studyDeliveries('main', 'o-1.2.53'));
    await passed('entry-restored');
    expect((await test.operations.records.deliveriesOf(key)).map(({ deliveryId }) => deliveryId)).toEqual([id]);
    await test.redis.del(keys().study('main', 'o-1.2.53'));
    // The rules know all its targets. If the router does not find the study, the targets of its deliveries are used.
    await passed('routed-again');
    await test.redis.del(keys().waits('main'));
    await passed('record-restored');
    expect(await test.operations.records.study(key)).toMatchObject({ studyInstanceUid: '1.2.53', targets: ['a'] });
  });

  it('each index is made again', async () => {
    const ids = [await deliver('1.2.54'), await deliver('1.2.55', { hold: true })];
    await test.operations.records.update(await deliver('1.2.56'), {
      state: 'failed',
      error: { code: 'internal', stage: 'transfer', fault: 'target', message: 'x', remedy: 'y' } as never,
    });
    expect(await pass()).toEqual({});
    const all = (await test.redis.keys(`${prefix}:index:*`)).filter((key) => !key.endsWith(':tasks')).toSorted();
    expect(all.length).toBeGreaterThan(12);
    for (const key of all) {
      const type = await test.redis.type(key);
      const read = () => {
        if (type === 'hash') return test.redis.hkeys(key);
        return type === 'set' ? test.redis.smembers(key) : test.redis.zrange(key, '0', '-1');
      };
      const before = (await read()).toSorted();
      await test.redis.del(key);
      expect(Object.keys(await pass()), key).not.toEqual([]);
      expect((await read()).toSorted(), key).toEqual(before);
      expect(await pass(), key).toEqual({});
    }
    expect(ids).toHaveLength(2);
  });

  it('an unknown study is removed from the indexes, a few per pass', async () => {
    const { redis } = test;
    await deliver('1.2.60');
    const gone = Array.from({ length: 700 }, (_, index) => `main o-gone-${String(index).padStart(3, '0')}`);
    const places = gone.map((member) => uidPlace(prefix, '1.1', member));
    await redis.hset(places[0]?.key ?? '', ...places.flatMap(({ field }) => [field, '']));
    await redis.zadd(keys().index('studies'), ...gone.flatMap((member) => [0, member]));
    for (let passes = 0; passes < 8; passes += 1) {
      expect(Object.keys(await pass()).filter((kind) => kind !== 'routed-again')).toEqual([]);
      // The router does not find them.
      await redis.del(keys().waits('main'));
    }
    expect(await pass()).toEqual({});
    expect(await redis.zrange(keys().index('studies'), '0', '-1')).toEqual(['main o-1.2.60']);
    expect(await membersOfUid(redis, prefix, '1.2.60')).toEqual(['main o-1.2.60']);
    expect(await redis.keys(`${prefix}:index:study-uids:*`)).toHaveLength(1);
  });

  it('a study that has lost its record and its place in the index is found by its deliveries', async () => {
    await deliver('1.2.61');
    await test.redis.del(keys().index('studies'), keys().study('main', 'o-1.2.61'));
    expect(await pass()).toMatchObject({ 'index-rebuilt': 1, 'routed-again': 1 });
    await test.redis.del(keys().waits('main'));
    expect(await pass()).toEqual({ 'record-restored': 1 });
    expect(await pass()).toEqual({});
    const key = { source: 'main', orthancStudyId: 'o-1.2.61' };
    expect(await test.operations.records.study(key)).toMatchObject({ studyInstanceUid: '1.2.61' });
  });

  it('a record that cannot be read is a problem, and does not prevent others from being restored', async () => {
    const { redis, operations } = test;
    const [broken, lost] = [await deliver('1.2.62'), await deliver('1.2.63')];
    await redis.hset(keys().delivery(broken), 'data', 'no JSON');
    await redis.set(keys().study('main', 'o-1.2.64'), 'no JSON');
    await redis.zadd(keys().index('studies'), 0, 'main o-1.2.64');
    await redis.del(keys().delivery(lost));
    await redis.zadd(keys().index('open'), Date.now() + 60_000, broken, Date.now() + 60_000, lost);
    const { problems } = await reconcile(test.reconciling);
    const subjects = [...problems.values()].filter(({ kind }) => kind === 'failed').map(({ subject }) => subject);
    expect(subjects).toEqual(expect.arrayContaining([broken, 'main o-1.2.64']));
    expect(await operations.records.delivery(lost)).toMatchObject({ state: 'waiting' });
  });

  it('held deliveries stay held', async () => {
    const [first, byHand] = [await deliver('1.2.57', { hold: true }), await deliver('1.2.58')];
    const hold = { ...act('hold'), patch: { wake: 'person' } } as const;
    await test.operations.records.change(byHand, hold);
    await test.redis.del(keys().held);
    for (const id of [first, byHand]) {
      expect(await test.operations.records.look(id)).toMatchObject({ isHeld: true });
      const begun = await test.operations.records.change(id, { ...act('begin'), patch: { state: 'active' } });
      expect(begun).toMatchObject({ kind: 'refused', why: 'held' });
    }
    await passed('entry-restored');
    expect((await test.redis.smembers(keys().held)).toSorted()).toEqual([first, byHand].toSorted());
    // Also if its record is lost and restored first, then the set.
    await test.redis.del(keys().delivery(byHand));
    await passed('record-restored');
    await test.redis.del(keys().held);
    expect(await test.operations.records.look(byHand)).toMatchObject({ isHeld: true });
    await passed('entry-restored');
    const released = await test.operations.records.change(first, { ...act('release'), patch: { wake: 'job' } });
    expect(released.kind).toBe('done');
    expect(await pass()).not.toHaveProperty('entry-restored');
  });

  it('a paused target stays paused, and keeps its limits', async () => {
    const queue = test.operations.queues.target('a');
    await applyLimits({ ...test.operations, keys: keys() }, 'a', test.config.targets['a']!);
    await queue.pause();
    await test.redis.hset(keys().paused, 'a', JSON.stringify({ by: 'otto', at: 1 }));
    await test.redis.del(queue.toKey('meta'));
    expect(await pass()).toEqual({ 'pause-restored': 1, 'limits-rewritten': 1 });
    expect(await queue.isPaused()).toBe(true);
    expect(await queue.getGlobalConcurrency()).toBe(test.config.targets['a']?.concurrency);
    await queue.resume();
  });

  it('a target that is resumed while its pause is made again runs', async () => {
    const queue = test.operations.queues.target('a');
    await test.redis.hset(keys().paused, 'a', JSON.stringify({ by: 'otto', at: 1 }));
    const pause = vi.spyOn(queue, 'pause').mockImplementationOnce(async () => {
      // Simulates a user who resumes it at this moment.
      await test.redis.hdel(keys().paused, 'a');
      await queue.resume();
      await queue.pause();
    });
    expect(await pass()).toEqual({});
    pause.mockRestore();
    expect(await queue.isPaused()).toBe(false);
  });
});

describe('a study task', () => {
  const onSuccess = { labels: ['sent'], metadata: {}, unprotect: false, delete: false };
  const taskPlace = async (id: string): Promise<string> =>
    (await jobPlace(test.redis, test.operations.queues.study(), id)).state;

  it('whose deliveries have all succeeded runs, whatever happened to their jobs', async () => {
    const study = await test.enqueue('1.2.20', { to: ['a', 'b'], onSuccess });
    const [first = '', second = ''] = study.added.map(({ deliveryId }) => deliveryId);
    await test.operations.records.update(first, { state: 'delivered' });
    expect(await pass()).toEqual({});
    expect(await taskPlace(study.studyTaskId)).toBe('waiting-children');
    await test.operations.records.update(second, { state: 'delivered' });
    expect(await pass()).toEqual({ 'task-released': 1 });
    expect(await taskPlace(study.studyTaskId)).toBe('ready');
  });

  it('that was removed is added again for the actions in the source', async () => {
    const study = await test.enqueue('1.2.21', { onSuccess });
    await (await test.operations.queues.study().getJob(study.studyTaskId))?.remove({ removeChildren: false });
    await test.operations.records.update(study.added[0]?.deliveryId ?? '', { state: 'delivered' });
    expect(await pass()).toEqual({ 'task-added': 1 });
    expect(await taskPlace(study.studyTaskId)).toBe('ready');
    await test.tasks.finish(study.studyTaskId, [], []);
    expect(await pass()).toEqual({});
  });

  it('waits for an operator while a delivery has failed, and reports if the source does not execute it', async () => {
    const study = await test.enqueue('1.2.22', { onSuccess });
    await test.operations.records.update(study.added[0]?.deliveryId ?? '', { state: 'failed' });
    expect(await pass()).toEqual({});
    expect(await taskPlace(study.studyTaskId)).toBe('waiting-children');
    await test.tasks.putOff(study.studyTaskId, 60_000, {
      code: 'source-unreachable',
      stage: 'finalize',
      fault: 'source',
      message: 'the source main does not answer',
      remedy: 'x',
    });
    await pass();
    const { problems } = await readReconcileReport(test.redis, prefix);
    expect(problems).toMatchObject([{ kind: 'after-success', subject: study.studyTaskId }]);
  });

  it('gets its record again from its job', async () => {
    const study = await test.enqueue('1.2.24', { onSuccess });
    await test.redis.del(`${prefix}:task:${study.studyTaskId}`);
    expect(await pass()).toEqual({ 'record-restored': 1 });
    expect(await test.tasks.read(study.studyTaskId)).toMatchObject({ state: 'waiting' });
  });

  it('of an earlier version gets a record of its actions', async () => {
    const study = await test.enqueue('1.2.23', { onSuccess });
    await test.redis.del(`${prefix}:task:${study.studyTaskId}`, `${prefix}:index:tasks`);
    await pass();
    expect(await test.tasks.read(study.studyTaskId)).toMatchObject({ state: 'waiting' });
  });
});

it('a limit that a receiver required is removed after a day', async () => {
  const queue = test.operations.queues.target('a');
  await queue.setGlobalConcurrency(1);
  const learnt = (at: number) => test.redis.hset(`${prefix}:learnt`, 'a', JSON.stringify({ concurrency: 1, at }));
  await learnt(Date.now() - 3_600_000);
  expect(await pass()).toEqual({});
  await learnt(Date.now() - 90_000_000);
  expect(await pass()).toEqual({ 'limit-restored': 1 });
  expect(await queue.getGlobalConcurrency()).toBe(test.config.targets['a']?.concurrency);
});

it('checks a limited number of 100,000 open deliveries, and writes only keys of the registry', async () => {
  const id = await deliver('1.2.30');
  const members = Array.from({ length: 100_000 }, (_, index) => [0, `d-gone-${index}`]).flat();
  for (let from = 0; from < members.length; from += 20_000) {
    await test.redis.zadd(`${prefix}:index:open`, ...(members.slice(from, from + 20_000) as [number, string]));
    await test.redis.zadd(`${prefix}:index:state:waiting`, ...(members.slice(from, from + 20_000) as [number, string]));
  }
  const { checked } = await reconcile(test.reconciling);
  expect(checked).toBeLessThanOrEqual(6_000);
  expect(await place(id)).toBe('ready');
  const keys = await test.redis.keys('*');
  expect(keys.filter((key) => rowOfKey(prefix, key) === undefined)).toEqual([]);
});

describe('ledgers of finished deliveries', () => {
  it('that an older version left in hashes are folded a few per pass, with the same content', async () => {
    const ids = await Promise.all(['1.3.1', '1.3.2', '1.3.3'].map((study) => deliver(study)));
    const ledger = createLedger(test.redis, { prefix });
    const keys = [];
    for (const id of ids) {
      const record = await test.operations.records.delivery(id);
      const key = ledgerKeyOf(record!);
      const outcome = { version: 'v1', attempt: 1, deliveryId: id };
      await ledger.confirm(
        key,
        Array.from({ length: 5 }, (_, index) => ({ ...outcome, sopInstanceUid: `1.3.9.${index}` })),
      );
      const fence = undefined;
      await test.operations.records.change(id, { ...act('begin'), patch: { state: 'active' }, fence });
      await test.operations.records.change(id, { ...act('end'), patch: { state: 'delivered' }, fence });
      keys.push(key);
    }
    const before = await Promise.all(keys.map((key) => ledger.entries(key)));
    await test.redis.set(`${prefix}:ledger-folding`, '');
    const folded = async (): Promise<number> => (await test.redis.keys(`${prefix}:ledger:*:folded`)).length;
    await foldFinished(test.reconciling, 2);
    expect(await folded()).toBe(2);
    await foldFinished(test.reconciling, 2);
    expect([await folded(), await test.redis.exists(`${prefix}:ledger-folding`)]).toEqual([3, 0]);
    expect(await test.redis.keys(`${prefix}:ledger:*:0`)).toEqual([]);
    expect(await Promise.all(keys.map((key) => ledger.entries(key)))).toEqual(before);
  });
});
