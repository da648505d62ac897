import { deliveryData, type DeliveryData } from '@dicom-dispatch/core';
import { act, type DeliveryState } from '@dicom-dispatch/state/records';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readChoice, writeChoice } from './choose-member.ts';
import { addJob, handOver, replaceDelivery, type HandOverContext, type HandOverOptions } from './hand-over.ts';
import { jobPlace } from './queues/index.ts';
import { isKilled, killedAfter, startTestPipeline, type TestPipeline } from './testing/start-test-pipeline.ts';

let test: TestPipeline;
let context: HandOverContext;
beforeAll(async () => {
  test = await startTestPipeline(undefined, {
    targets: { c: { type: 'dummy', transform: 'of-c' } },
    transforms: { 'of-c': { set: { StationName: 'c' } }, ruled: { set: { StationName: 'r' } } },
  });
  context = { ...test.operations, config: test.config };
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
});

const members = ['a', 'b', 'c'];
const group = {
  name: 'any',
  strategy: 'first-available',
  members,
  tried: [] as string[],
  keepsTransform: false,
} as const;
const place = { source: 'main', orthancStudyId: 'o-1.2', contentHash: '', transform: undefined };

/** The delivery of a study to the first member of a group. */
async function begin(more: Partial<DeliveryData> = {}): Promise<DeliveryData> {
  const { deliveries } = await test.enqueue('1.2');
  const data = deliveryData.parse({ ...deliveries[0], group, ...more });
  await writeChoice(
    context,
    'any',
    { ...place, contentHash: data.contentHash },
    { target: 'a', contentHash: data.contentHash },
  );
  return data;
}
const move = (data: DeliveryData, options: Partial<HandOverOptions> = {}, from = context) =>
  handOver(from, data, { why: 'it is down', ...options });
const choice = () => readChoice(context, 'any', place);
const stateOf = async (id: string): Promise<DeliveryState | undefined> =>
  (await test.operations.records.delivery(id))?.state;

/** The delivery that a target has now. */
async function deliveryAt(target: string) {
  const { records } = await test.operations.records.deliveries({ target, limit: 10 });
  return records.find(({ state }) => state !== 'moved');
}

describe('the other member', () => {
  it('gets the study, and the former delivery has ended as moved', async () => {
    const former = await begin();
    expect(await move(former)).toEqual({ target: 'b', hasLeft: true });
    const { records } = test.operations;
    const left = await records.delivery(former.deliveryId);
    expect(left).toMatchObject({ state: 'moved', worker: undefined });
    expect(left?.endedAt).toBeGreaterThan(0);
    const next = await deliveryAt('b');
    const { contentHash, studyTaskId, instanceCount } = former;
    expect(next).toMatchObject({
      state: 'waiting',
      contentHash,
      studyTaskId,
      instanceCount,
      group,
      replaces: undefined,
    });
    expect(await choice()).toEqual({ target: 'b', contentHash });
    expect((await records.study(former))?.targets).toEqual(['a', 'b']);
    const texts = async (id = '') => (await records.events(id)).map(({ kind, text }) => [kind, text]);
    expect(await texts(former.deliveryId)).toEqual([['moved', 'b has taken over the delivery: it is down']]);
    expect(await texts(next?.deliveryId)).toEqual([
      ['moved', 'taken over from a, which could not be used: it is down'],
    ]);
  });

  it('begins at once, with the study task of the former delivery as its parent', async () => {
    const former = await begin();
    await move(former);
    const id = (await deliveryAt('b'))?.deliveryId ?? '';
    const job = await test.operations.queues.target('b').getJob(id);
    expect(await job?.getState()).toBe('prioritized');
    expect(job?.parent?.id).toBe(former.studyTaskId);
    expect(await test.redis.smembers(test.operations.keys.targets)).toContain('b');
  });

  it('is none if the delivery has no group, or no other member can be used: nothing changes', async () => {
    const former = await begin();
    const { group: _, ...alone } = former;
    expect(await move(alone as DeliveryData)).toBeUndefined();
    for (const target of ['b', 'c']) await test.operations.queues.target(target).pause();
    expect(await move(former)).toBeUndefined();
    expect(await stateOf(former.deliveryId)).toBe('waiting');
    expect(await choice()).toMatchObject({ target: 'a' });
    for (const target of ['b', 'c']) await test.operations.queues.target(target).resume();
  });

  it('is one that can be used and was not tried', async () => {
    const former = await begin({ group: { ...group, tried: ['b'], members: [...members] } });
    expect(await move(former)).toMatchObject({ target: 'c' });
    expect((await deliveryAt('c'))?.group?.tried).toEqual(['b']);
  });

  it('is not one that has used up its attempts, in any later move', async () => {
    const first = await begin();
    expect(await move(first, { exhausted: true })).toMatchObject({ target: 'b' });
    const second = deliveryData.parse(await deliveryAt('b'));
    expect(second.group?.tried).toEqual(['a']);
    expect(await move(second, { exhausted: true })).toMatchObject({ target: 'c' });
    const third = deliveryData.parse(await deliveryAt('c'));
    expect(third.group?.tried).toEqual(['a', 'b']);
    expect(await move(third, { exhausted: true })).toBeUndefined();
    expect(await stateOf(third.deliveryId)).toBe('waiting');
  });

  it('is one of the members that the configuration names now; without the group, one of the former members', async () => {
    const former = await begin();
    const groups = { any: { targets: ['a', 'c'], strategy: 'first-available' } } as never;
    expect(await move(former, {}, { ...context, config: { ...test.config, groups } })).toMatchObject({ target: 'c' });
  });
});

describe('the form', () => {
  const definition = { set: { StationName: 'r' }, remove: [], copy: {}, keep: [], removePrivateTags: false };

  it('of the rules stays with every member', async () => {
    const former = await begin({
      transform: { name: 'ruled', definition },
      group: { ...group, tried: ['b'], members: [...members], keepsTransform: true },
    });
    await writeChoice(
      context,
      'any',
      { ...place, transform: 'ruled' },
      { target: 'a', contentHash: former.contentHash },
    );
    expect(await move(former)).toMatchObject({ target: 'c' });
    expect((await deliveryAt('c'))?.transform).toEqual({ name: 'ruled', definition });
    // The choice without this form is another one.
    expect(await choice()).toMatchObject({ target: 'a' });
    expect(await readChoice(context, 'any', { ...place, transform: 'ruled' })).toMatchObject({ target: 'c' });
  });

  it('is otherwise that of the member', async () => {
    const former = await begin({ group: { ...group, tried: ['b'], members: [...members] } });
    await move(former);
    const next = await deliveryAt('c');
    expect(next?.transform).toEqual({ name: 'of-c', definition: test.config.transforms['of-c'] });
    const back = await move(deliveryData.parse(next), { why: 'back' });
    expect(back).toMatchObject({ target: 'a' });
    expect((await deliveryAt('a'))?.transform).toBeUndefined();
  });
});

describe('a study that returns to a member', () => {
  it('gets another delivery there each time, and the choice names it', async () => {
    let data = await begin();
    const { contentHash } = data;
    const seen = new Set([data.deliveryId]);
    for (const target of ['b', 'a', 'b', 'a']) {
      expect(await move(data)).toEqual({ target, hasLeft: true });
      data = deliveryData.parse(await deliveryAt(target));
      const { nonce } = data;
      expect(nonce === undefined).toBe(seen.size === 1);
      expect(await choice()).toEqual({ target, contentHash, ...(nonce !== undefined && { nonce }) });
      seen.add(data.deliveryId);
    }
    expect(seen.size).toBe(5);
    expect(data.nonce).toBe('~2');
    // It is the one that the rules find.
    const planned = { to: 'any', group, rules: ['r'], priority: 'normal', hold: false, late: 'difference' } as const;
    const { added, deliveries } = await test.enqueue('1.2', { deliveries: [planned] });
    expect(added).toEqual([]);
    expect(deliveries).toMatchObject([{ deliveryId: data.deliveryId, target: 'a' }]);
  });

  it('after another request of an operator is distinguished from that', async () => {
    const former = await begin({ nonce: 'n', target: 'b', deliveryId: 'd-b' });
    await test.operations.records.routed((await test.operations.records.study(former))!, [former]);
    const first = await move(former);
    expect(first).toMatchObject({ target: 'a' });
    const next = deliveryData.parse(await deliveryAt('a').then(async (one) => one ?? former));
    expect(next.contentHash).toBe(former.contentHash);
  });
});

describe('repeated after a crash', () => {
  it.each([1, 2, 3])(
    'the same member gets it, also if another one could be used by now (%s writes)',
    async (writes) => {
      const former = await begin();
      const records = killedAfter(writes, test.operations.records);
      expect(await isKilled(handOver({ ...context, records }, former, { why: 'it is down' }))).toBe(true);
      await test.operations.queues.target('b').pause();
      await move(former);
      await test.operations.queues.target('b').resume();
      expect(await choice()).toMatchObject({ target: 'b' });
      expect(await deliveryAt('c')).toBeUndefined();
      const next = await deliveryAt('b');
      expect(next).toMatchObject({ state: 'waiting' });
      expect(next).not.toHaveProperty('nonce');
      expect((await jobPlace(test.redis, test.operations.queues.target('b'), next?.deliveryId ?? '')).state).toBe(
        'ready',
      );
    },
  );

  it('late instances are moved independently', async () => {
    const former = await begin();
    await move(former);
    const grown = await test.enqueue('1.2', { instances: 3, to: ['b'] });
    await test.operations.queues.target('a').pause();
    const moved = await move(deliveryData.parse({ ...grown.deliveries[0], group }));
    await test.operations.queues.target('a').resume();
    expect(moved).toMatchObject({ target: 'c' });
  });
});

describe('the former delivery', () => {
  const run = (id: string) =>
    test.operations.records.change(id, { ...act('begin'), patch: { state: 'active', worker: 'host-1' } });

  it('is left while an attempt is running, unless only a waiting one may be moved', async () => {
    const former = await begin();
    await run(former.deliveryId);
    expect(await move(former, { onlyWaiting: true })).toEqual({ target: 'b', hasLeft: false });
    expect(await stateOf(former.deliveryId)).toBe('active');
    expect(await move(former)).toEqual({ target: 'b', hasLeft: true });
    expect(await test.operations.records.delivery(former.deliveryId)).toMatchObject({
      state: 'moved',
      worker: undefined,
    });
  });

  it('is changed under the lock of its attempt only', async () => {
    const former = await begin();
    const fence = { lockKey: '{dicom-dispatch}:lock', token: 't' };
    expect(await move(former, { fence })).toEqual({ target: 'b', hasLeft: false });
    await test.redis.set(fence.lockKey, 't');
    expect(await move(former, { fence, patch: { failures: 3 } })).toEqual({ target: 'b', hasLeft: true });
    expect((await test.operations.records.delivery(former.deliveryId))?.failures).toBe(3);
  });

  it('that had arrived meanwhile stays delivered: both targets get the study', async () => {
    const former = await begin();
    await test.operations.records.update(former.deliveryId, { state: 'delivered' });
    expect(await move(former)).toEqual({ target: 'b', hasLeft: false });
    expect(await stateOf(former.deliveryId)).toBe('delivered');
    expect((await deliveryAt('b'))?.state).toBe('waiting');
  });

  it('its hold is transferred to the new one, although the rule held it from the start', async () => {
    const { deliveries } = await test.enqueue('1.2', { hold: true });
    const former = deliveryData.parse({ ...deliveries[0], group });
    await move(former);
    const next = await deliveryAt('b');
    expect(await test.operations.records.look(next?.deliveryId ?? '')).toMatchObject({ isHeld: true });
    expect(next?.hold).toBeUndefined();
    expect(await test.redis.smembers(test.operations.keys.held)).toEqual([next?.deliveryId]);
  });
});

it.each([
  [true, ['a', 'b']],
  [false, ['b']],
])('a delivery that is replaced keeps its target in the study (%s): %j', async (keepsTarget, targets) => {
  const former = await begin();
  const next = { ...former, target: 'b', deliveryId: 'd-next' };
  const changed = await replaceDelivery(context, former, next, { keepsTarget });
  expect(changed.kind).toBe('done');
  expect((await test.operations.records.study(former))?.targets).toEqual(targets);
  expect(await stateOf('d-next')).toBe('waiting');
});

describe('a job', () => {
  it('can be added for later', async () => {
    const data = await begin();
    await addJob(context, { ...data, deliveryId: 'd-later' }, 3_600_000);
    expect((await jobPlace(test.redis, test.operations.queues.target('a'), 'd-later')).state).toBe('delayed');
    await addJob(context, { ...data, deliveryId: 'd-now' });
    expect((await jobPlace(test.redis, test.operations.queues.target('a'), 'd-now')).state).toBe('ready');
  });

  it('has no parent if its study task waits for nothing', async () => {
    const data = await begin();
    await (await test.operations.queues.study().getJob(data.studyTaskId))?.remove({ removeChildren: false });
    await addJob(context, { ...data, deliveryId: 'd-2' });
    expect((await test.operations.queues.target('a').getJob('d-2'))?.parent).toBeUndefined();
  });

  it('that exists below another study task stays there', async () => {
    const data = await begin();
    const other = (await test.enqueue('1.3')).studyTaskId;
    await addJob(context, { ...data, studyTaskId: other });
    const job = await test.operations.queues.target('a').getJob(data.deliveryId);
    expect(job?.parent?.id).toBe(data.studyTaskId);
  });
});
