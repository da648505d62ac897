import { deliveryData, schedule } from '@dicom-dispatch/core';
import { act, fromNow } from '@dicom-dispatch/state/records';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { chooseMember } from './choose-member.ts';
import { handOver } from './hand-over.ts';
import { jobPlace } from './queues/index.ts';
import { isKilled, killedAfter, startTestPipeline, type TestPipeline } from './testing/start-test-pipeline.ts';
import { callDelivery } from './wake-delivery.ts';

let test: TestPipeline;
beforeAll(async () => {
  test = await startTestPipeline();
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
});

/** A window that opens this number of hours from now, for one hour. */
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

it('selects the member whose schedule opens first if none can be used now', async () => {
  expect(await choose({ a: opensIn(11), b: opensIn(3) })).toBe('b');
});

it('stays with the member that has the study, although the choice was lost', async () => {
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

describe('a delivery that is moved to another member', () => {
  const group = { name: 'any', strategy: 'first-available', members: ['a', 'b'], tried: [], keepsTransform: false };

  /** An action that runs at the moment when the other delivery has its record. */
  async function handOverWhile(act: (id: string) => Promise<unknown>) {
    const { operations, config } = test;
    const { added } = await test.enqueue('1.2.9');
    const former = deliveryData.parse({ ...added[0], group });
    const { records } = operations;
    const routed = records.routed.bind(records);
    const spy = vi.spyOn(records, 'routed').mockImplementationOnce(async (...args) => {
      const count = await routed(...args);
      await act(former.deliveryId);
      return count;
    });
    const handed = await handOver({ ...operations, config }, former, { why: 'it is down', onlyWaiting: true });
    spy.mockRestore();
    const [next] = await records.deliveries({ target: 'b', limit: 1 }).then((found) => found.records);
    return { handed, former: await records.look(former.deliveryId), next: await records.look(next?.deliveryId ?? '') };
  }

  it('stays held if it is held at this moment, and moves to the other member when it is released', async () => {
    const { records, queues } = test.operations;
    const { handed, former, next } = await handOverWhile((id) =>
      records.change(id, { ...act('hold'), patch: { wake: 'person' } }),
    );
    expect(handed).toEqual({ target: 'b', hasLeft: true });
    expect(former?.record.state).toBe('moved');
    expect(next).toMatchObject({ isHeld: true, record: { target: 'b', state: 'waiting', wake: 'person' } });
    const id = next?.record.deliveryId ?? '';
    expect(await test.redis.smembers(test.operations.keys.held)).toEqual([id]);
    expect((await jobPlace(test.redis, queues.target('b'), id)).state).toBe('ready');
    expect((await records.change(id, { ...act('release'), patch: { wake: 'job' } })).kind).toBe('done');
  });

  it('is not sent if it is cancelled at this moment', async () => {
    const { handed, former, next } = await handOverWhile((id) =>
      test.operations.records.change(id, { ...act('cancel'), patch: { state: 'cancelled', endedAt: fromNow() } }),
    );
    expect(handed).toEqual({ target: 'b', hasLeft: false });
    expect([former?.record.state, next?.record.state]).toEqual(['cancelled', 'cancelled']);
  });

  /** Moves it, and is killed after this number of writes of records. @returns false if it was not */
  async function handOverUntil(writes: number, former: ReturnType<typeof deliveryData.parse>): Promise<boolean> {
    const records = killedAfter(writes, test.operations.records);
    const context = { ...test.operations, config: test.config, records };
    return isKilled(handOver(context, former, { why: 'it is down', onlyWaiting: true }));
  }

  async function lookAtNext() {
    const { records } = await test.operations.records.deliveries({ target: 'b', limit: 1 });
    const id = records[0]?.deliveryId ?? '';
    const next = await test.operations.records.look(id);
    return { id, next, place: (await jobPlace(test.redis, test.operations.queues.target('b'), id)).state };
  }

  it.each([1, 2, 3, 4, 5])('stays held after a crash when %s writes were made', async (writes) => {
    const { records } = test.operations;
    const { added } = await test.enqueue('1.2.11');
    const former = deliveryData.parse({ ...added[0], group });
    await records.change(former.deliveryId, { ...act('hold'), patch: { wake: 'person' } });
    expect(await handOverUntil(writes, former)).toBe(writes <= 5);
    await test.reconcile();
    if ((await records.delivery(former.deliveryId))?.state === 'waiting') {
      // Not moved yet: it waits for that.
      expect(await lookAtNext()).toMatchObject({ next: { record: { state: 'waiting' } }, place: 'missing' });
      await handOver({ ...test.operations, config: test.config }, former, { why: 'it is down' });
    }
    const { id, next } = await lookAtNext();
    expect(next).toMatchObject({ isHeld: true, record: { state: 'waiting', replaces: undefined } });
    // The hold ends when the delivery is released.
    expect((await records.change(id, { ...act('release'), patch: { wake: 'job' } })).kind).toBe('done');
    await test.reconcile();
    expect(await lookAtNext()).toMatchObject({ next: { isHeld: false }, place: 'ready' });
  });

  it('is not sent if the other one is cancelled after a crash, and can be retried', async () => {
    const { records } = test.operations;
    const { added } = await test.enqueue('1.2.12');
    const former = deliveryData.parse({ ...added[0], group });
    expect(await handOverUntil(1, former)).toBe(true);
    await test.reconcile();
    expect((await lookAtNext()).place).toBe('missing');
    await records.change(former.deliveryId, { ...act('cancel'), patch: { state: 'cancelled', endedAt: fromNow() } });
    await test.reconcile();
    const { id, next } = await lookAtNext();
    expect(next?.record.state).toBe('cancelled');
    await records.change(id, { ...act('retry'), patch: { state: 'waiting', wake: 'job' } });
    await test.reconcile();
    expect((await lookAtNext()).next?.record.state).toBe('waiting');
  });

  it('gets no job from a router that routes the study after a crash, while the other one is held', async () => {
    const { records } = test.operations;
    const { added } = await test.enqueue('1.2.14');
    const former = deliveryData.parse({ ...added[0], group });
    expect(await handOverUntil(1, former)).toBe(true);
    await records.change(former.deliveryId, { ...act('hold'), patch: { wake: 'person' } });
    const routed = await test.enqueue('1.2.14', { to: ['b'] });
    const { id } = await lookAtNext();
    expect(routed).toMatchObject({ added: [], deliveries: [{ deliveryId: id }] });
    expect(await lookAtNext()).toMatchObject({ place: 'missing' });
    // The former one ends: now the router finishes what was interrupted.
    await records.change(former.deliveryId, { ...act('cancel'), patch: { state: 'cancelled', endedAt: fromNow() } });
    await test.enqueue('1.2.14', { to: ['b'] });
    expect((await lookAtNext()).next?.record.state).toBe('cancelled');
  });

  it('gets its job from a router that routes the study after a crash, when the other one has left', async () => {
    const { added } = await test.enqueue('1.2.15');
    expect(await handOverUntil(2, deliveryData.parse({ ...added[0], group }))).toBe(true);
    await test.enqueue('1.2.15', { to: ['b'] });
    expect(await lookAtNext()).toMatchObject({ next: { record: { replaces: undefined } }, place: 'ready' });
  });

  it('gets no job from a retry after a crash before the other one has left', async () => {
    const { records } = test.operations;
    const context = { ...test.operations, config: test.config };
    const { added } = await test.enqueue('1.2.16');
    const former = deliveryData.parse({ ...added[0], group });
    expect(await handOverUntil(1, former)).toBe(true);
    const retried = async () => {
      const { id } = await lookAtNext();
      const { now } = await records.change(id, { ...act('retry'), patch: { state: 'waiting', wake: 'job' } });
      const record = await records.delivery(id);
      return record && callDelivery(context, record, now);
    };
    expect(await retried()).toBe('replacing');
    expect((await lookAtNext()).place).toBe('missing');
    // The former one moves: now the retry finishes what was interrupted.
    await records.change(former.deliveryId, { ...act('move'), patch: { state: 'moved', endedAt: fromNow() } });
    await retried();
    expect(await lookAtNext()).toMatchObject({ next: { record: { replaces: undefined } }, place: 'ready' });
  });

  it('continues after a crash when the other one has left', async () => {
    const { added } = await test.enqueue('1.2.13');
    expect(await handOverUntil(2, deliveryData.parse({ ...added[0], group }))).toBe(true);
    expect((await lookAtNext()).place).toBe('missing');
    await test.reconcile();
    expect(await lookAtNext()).toMatchObject({ next: { record: { replaces: undefined } }, place: 'ready' });
  });

  it('has a record there although that of its study is missing', async () => {
    const { next } = await handOverWhile(() => Promise.resolve());
    expect(next?.record.state).toBe('waiting');
    await test.redis.flushall();
    const { added } = await test.enqueue('1.2.10');
    await test.redis.del(test.operations.keys.study('main', 'o-1.2.10'));
    const former = deliveryData.parse({ ...added[0], group });
    await handOver({ ...test.operations, config: test.config }, former, { why: 'it is down' });
    expect(await test.operations.records.counts('b')).toMatchObject({ waiting: 1 });
  });
});
