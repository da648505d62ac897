import { deliveryData, type StudyTaskData } from '@dicom-dispatch/core';
import { act } from '@dicom-dispatch/state/records';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { parseArrival } from './arrivals.ts';
import { enqueueArriving, openArriving } from './enqueue-arriving.ts';
import type { HandOverContext } from './hand-over.ts';
import { jobPlace } from './queues/index.ts';
import { planByName } from './resolve-deliveries.ts';
import { studyTaskStands } from './study-task-stands.ts';
import { startTestPipeline, type EnqueueOptions, type TestPipeline } from './testing/start-test-pipeline.ts';

let test: TestPipeline;
let context: HandOverContext;
beforeAll(async () => {
  test = await startTestPipeline();
  context = { ...test.operations, config: test.config };
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
});

const key = { source: 'main', orthancStudyId: 'o-1.2' };
const whole = (options: EnqueueOptions = {}) => test.enqueue('1.2', { instances: 3, ...options });
const place = async (id: string, target = 'a'): Promise<string> =>
  (await jobPlace(test.redis, test.operations.queues.target(target), id)).state;

/** Begins the deliveries of a study of which one instance has arrived. */
function begin(
  to: readonly string[] = ['a'],
  start: 'arrival' | 'series' | 'stable' = 'arrival',
  modalities?: unknown,
): Promise<string[]> {
  const study = {
    orthancStudyId: 'o-1.2',
    studyInstanceUid: '1.2',
    facts: { source: 'main', study: { ModalitiesInStudy: modalities }, series: [], origin: {} },
  };
  const deliveries = planByName(test.config, to, { rules: ['r'], priority: 'normal' });
  return enqueueArriving(context, {
    source: 'main',
    epoch: '1',
    snapshot: { study, manifest: [{ sopInstanceUid: '1.2.0', version: '1' }] } as never,
    rules: ['r'],
    deliveries: deliveries.map((one) => ({ ...one, start })),
  });
}

/** A dispatcher has begun an attempt, and its lock is held. */
async function run(id: string, target = 'a'): Promise<string> {
  const lock = `${test.operations.queues.target(target).toKey(id)}:lock`;
  await test.redis.set(lock, 't');
  const patch = { state: 'active', wake: 'attempt', lock, token: 't' } as const;
  await test.operations.records.change(id, { ...act('begin'), patch });
  return lock;
}

describe('a study that is still being received', () => {
  it.each(['arrival', 'series'] as const)('is sent by one delivery from its %s on', async (start) => {
    const [id = '', ...others] = await begin(['a'], start, ['CT', 'SR']);
    expect(others).toEqual([]);
    const record = await test.operations.records.delivery(id);
    expect(record).toMatchObject({ arriving: start, state: 'waiting', instanceCount: 1, contentHash: 'arriving' });
    expect(record).toMatchObject({ modalities: ['CT', 'SR'], rules: ['r'], epoch: '1', target: 'a' });
    expect(record).not.toHaveProperty('again');
    expect(await place(id)).toBe('ready');
    const study = { contentHash: '', targets: ['a'], instanceCount: 1, rules: ['r'] };
    expect(await test.operations.records.study(key)).toMatchObject(study);
    expect((await test.operations.records.study(key))?.lastUpdate).toBeUndefined();
    expect(await openArriving(test.operations.records, key)).toMatchObject([{ deliveryId: id }]);
  });

  it('has no modality before it is in the tags', async () => {
    const [id = ''] = await begin(['a'], 'arrival', 'CT');
    expect((await test.operations.records.delivery(id))?.modalities).toEqual([]);
  });

  it('without targets gets no delivery', async () => {
    expect(await begin([])).toEqual([]);
    expect(await test.operations.records.study(key)).toBeUndefined();
  });

  it('keeps the content of its last routing, and its new instances are another delivery', async () => {
    const { deliveries } = await whole();
    const before = await test.operations.records.study(key);
    const [id = ''] = await begin();
    expect(id).not.toBe(deliveries[0]?.deliveryId);
    expect(await test.operations.records.study(key)).toEqual(before);
    expect(await test.operations.records.delivery(id)).toMatchObject({
      again: true,
      contentHash: `arriving-after-${before?.contentHash}`,
    });
  });

  it('is not begun once more if its content was routed since it was read', async () => {
    await whole({ instances: 1 });
    expect(await begin()).toEqual([]);
    expect(await test.operations.records.deliveriesOf(key)).toHaveLength(1);
  });

  it('gets a lost job again, unless its delivery has ended', async () => {
    const [id = ''] = await begin();
    await test.operations.queues.target('a').remove(id);
    await begin();
    expect(await place(id)).toBe('ready');
    await test.operations.queues.target('a').remove(id);
    await test.operations.records.update(id, { state: 'cancelled' });
    expect(await begin()).toEqual([id]);
    expect(await place(id)).toBe('missing');
    expect(await openArriving(test.operations.records, key)).toEqual([]);
  });

  it('gets no job while the delivery that it replaces is open', async () => {
    const former = (await test.enqueue('1.4')).added[0]!;
    const [id = ''] = await begin();
    await test.operations.queues.target('a').remove(id);
    await test.operations.records.update(id, { replaces: former.deliveryId });
    await begin();
    expect(await place(id)).toBe('missing');
    await test.operations.records.update(former.deliveryId, { state: 'moved' });
    await begin();
    expect(await place(id)).toBe('ready');
    expect((await test.operations.records.delivery(id))?.replaces).toBeUndefined();
  });
});

describe('when the study is complete', () => {
  it('the delivery that was begun is its delivery, with all instances, and continues', async () => {
    const messages: string[] = [];
    const dispatcher = test.redis.duplicate();
    onTestFinished(() => dispatcher.disconnect());
    dispatcher.on('message', (_channel, text: string) => messages.push(text));
    await dispatcher.subscribe(test.operations.keys.arrivalsChannel);
    const [id = ''] = await begin();
    const later = { wake: 'arrival', nextAttemptAt: Date.now() + 3_600_000 } as const;
    await test.operations.records.update(id, later);
    const enqueued = await whole({ rules: ['s'] });
    expect(enqueued.added).toMatchObject([{ deliveryId: id }]);
    expect(enqueued.isNew).toBe(false);
    const record = await test.operations.records.delivery(id);
    expect(record).toMatchObject({
      state: 'waiting',
      wake: 'job',
      instanceCount: 3,
      contentHash: enqueued.contentHash,
    });
    expect(record).not.toHaveProperty('arriving');
    expect(record?.nextAttemptAt).toBeUndefined();
    expect(await openArriving(test.operations.records, key)).toEqual([]);
    await dispatcher.ping();
    expect(messages.map((text) => parseArrival(text))).toEqual([{ ...key, from: 'stable', instances: [] }]);
    // Repeated, nothing is to be done.
    expect((await whole({ rules: ['s'] })).added).toEqual([]);
  });

  it('a delivery that was cancelled during reception is its delivery, with the number of its instances', async () => {
    const [id = ''] = await begin();
    const patch = { state: 'cancelled', total: 1, confirmed: 1 } as const;
    await test.operations.records.change(id, { ...act('cancel'), patch });
    const { deliveries } = await whole();
    expect(deliveries).toMatchObject([{ deliveryId: id }]);
    expect(await test.operations.records.delivery(id)).toMatchObject({ state: 'cancelled', confirmed: 1, total: 3 });
  });

  it('a delivery that waits for something else keeps its time', async () => {
    const [id = ''] = await begin();
    const at = Date.now() + 3_600_000;
    await test.operations.records.update(id, { wake: 'circuit', nextAttemptAt: at });
    await whole();
    expect(await test.operations.records.delivery(id)).toMatchObject({ wake: 'circuit', nextAttemptAt: at });
  });

  it('an operator who sends it as well gets an additional delivery', async () => {
    const [id = ''] = await begin();
    const { deliveries } = await whole({ nonce: 'n', byHand: true });
    expect(deliveries).toMatchObject([{ nonce: 'n', target: 'a' }]);
    expect(deliveries[0]?.deliveryId).not.toBe(id);
    expect(await test.operations.records.delivery(id)).toMatchObject({ arriving: 'arrival', state: 'waiting' });
  });

  it('a delivery in another form, or to another target, is not that of the study', async () => {
    const [id = ''] = await begin(['b']);
    const { deliveries } = await whole({ only: ['a'] });
    expect(deliveries).toMatchObject([{ target: 'a' }]);
    expect(await test.operations.records.delivery(id)).toMatchObject({ arriving: 'arrival', state: 'waiting' });
  });
});

describe('a target to which no rule sends the complete study', () => {
  it('gets no further instance: its delivery ends, and can be retried with the complete study', async () => {
    const [, id = ''] = await begin(['a', 'b']);
    await test.operations.records.update(id, { confirmed: 2, total: 2 });
    const { contentHash } = await whole();
    const record = await test.operations.records.delivery(id);
    const message = 'no rule sends the whole study to b; 2 instances were sent before';
    expect(record).toMatchObject({ state: 'cancelled', error: { code: 'not-wanted', message }, failStage: 'resolve' });
    expect(record).toMatchObject({ contentHash, instanceCount: 3, total: 3, worker: undefined });
    expect(record).not.toHaveProperty('arriving');
    expect(await place(id, 'b')).toBe('failed');
    expect((await test.operations.queues.target('b').getJob(id))?.failedReason).toBe(message);
    const ended = { kind: 'ended', code: 'not-wanted', stage: 'resolve', text: message };
    expect((await test.operations.records.events(id)).at(-1)).toMatchObject(ended);
  });

  it('gets it by the same delivery when a rule sends the study there again', async () => {
    const [, id = ''] = await begin(['a', 'b']);
    await whole();
    const { studyTaskId, added } = await whole({ to: ['a', 'b'] });
    expect(added).toMatchObject([{ deliveryId: id, target: 'b' }]);
    const { record, isCancelled } = (await test.operations.records.look(id))!;
    expect(record).toMatchObject({ state: 'waiting', wake: 'job', studyTaskId, total: 3 });
    expect([record.error, record.failStage, isCancelled]).toEqual([undefined, undefined, false]);
    expect(await place(id, 'b')).toBe('ready');
    // Repeated, nothing is to be done.
    expect((await whole({ to: ['a', 'b'] })).added).toEqual([]);
  });

  it('gets nothing without a release if the rule that sends it there again holds deliveries', async () => {
    const [, id = ''] = await begin(['a', 'b']);
    await whole();
    await whole({ to: ['a', 'b'], hold: true });
    const look = await test.operations.records.look(id);
    expect(look).toMatchObject({ isHeld: true, isCancelled: false, record: { state: 'waiting' } });
  });

  it('gets nothing if an operator cancelled the delivery, although a rule sends the study there again', async () => {
    const [, waiting = ''] = await begin(['a', 'b']);
    await test.operations.records.change(waiting, { ...act('cancel'), patch: { state: 'cancelled' } });
    await whole();
    expect((await whole({ to: ['a', 'b'] })).added).toEqual([]);
    expect((await test.operations.records.delivery(waiting))?.state).toBe('cancelled');
    await test.redis.flushall();
    const [, running = ''] = await begin(['a', 'b']);
    await run(running, 'b');
    await test.operations.records.change(running, { ...act('askToCancel'), patch: {} });
    await whole();
    expect((await test.operations.records.delivery(running))?.error).toBeUndefined();
  });

  it('names the number of instances that it got', async () => {
    const [, id = ''] = await begin(['a', 'b']);
    await test.operations.records.update(id, { confirmed: 1 });
    await whole();
    const { error } = (await test.operations.records.delivery(id))!;
    expect(error?.message).toBe('no rule sends the whole study to b; 1 instance was sent before');
  });

  it('is asked to stop while it sends', async () => {
    const cancelled: string[] = [];
    const dispatcher = test.redis.duplicate();
    onTestFinished(() => dispatcher.disconnect());
    dispatcher.on('message', (_channel, text: string) => cancelled.push(text));
    await dispatcher.subscribe(test.operations.keys.cancelChannel);
    const [, id = ''] = await begin(['a', 'b']);
    await run(id, 'b');
    await whole();
    expect(await test.operations.records.look(id)).toMatchObject({
      isCancelled: true,
      record: {
        state: 'active',
        // It may confirm more: their number follows when it has ended.
        error: { code: 'not-wanted', message: 'no rule sends the whole study to b' },
        failStage: 'resolve',
      },
    });
    await dispatcher.ping();
    expect(cancelled).toEqual([id]);
  });

  it('ends at once if its dispatcher is gone', async () => {
    const [, id = ''] = await begin(['a', 'b']);
    await test.redis.del(await run(id, 'b'));
    await whole();
    expect((await test.operations.records.delivery(id))?.state).toBe('cancelled');
  });

  it('with its transform names the other one', async () => {
    const [id = ''] = await begin(['a']);
    const data = {
      ...deliveryData.parse(await test.operations.records.delivery(id)),
      transform: { name: 'x', definition: {} },
    };
    await test.redis.hset(test.operations.keys.delivery(id), 'data', JSON.stringify(data));
    await whole();
    expect((await test.operations.records.delivery(id))?.error).toMatchObject({
      message: 'the whole study is sent to a with another transform; 0 instances were sent before',
      remedy: expect.stringContaining('other delivery'),
    });
  });

  it.each(['waiting', 'failed'] as const)('and was %s does not delay the actions after success', async (state) => {
    const [, id = ''] = await begin(['a', 'b']);
    await test.operations.records.update(id, { state });
    const { studyTaskId, deliveries } = await whole({ rules: ['s'] });
    await test.operations.records.update(deliveries[0]!.deliveryId, { state: 'delivered' });
    const task = { ...key, studyTaskId } as StudyTaskData;
    expect(await studyTaskStands(test.operations.records, task)).toBe('arrived');
    expect(await test.operations.records.delivery(id)).toMatchObject({ rules: ['r'] });
  });

  it('keeps the end of its delivery', async () => {
    const [, id = ''] = await begin(['a', 'b']);
    await test.operations.records.update(id, { state: 'failed' });
    await whole();
    const record = await test.operations.records.delivery(id);
    expect(record).toMatchObject({ state: 'failed', error: undefined, instanceCount: 3 });
    expect(record).not.toHaveProperty('arriving');
  });

  it.each<[string, EnqueueOptions]>([
    ['an operator sends the study', { byHand: true }],
    ['an operator sends it again', { nonce: 'n' }],
    ['only some targets are routed', { only: ['a'] }],
  ])('continues when %s', async (_why, options) => {
    const [, id = ''] = await begin(['a', 'b']);
    await whole(options);
    expect(await test.operations.records.delivery(id)).toMatchObject({ state: 'waiting', arriving: 'arrival' });
  });

  it('has no further delivery if the one that was begun was moved', async () => {
    const [, id = ''] = await begin(['a', 'b']);
    await test.operations.records.update(id, { state: 'moved' });
    await whole();
    expect(await test.operations.records.delivery(id)).toMatchObject({ state: 'moved', arriving: 'arrival' });
    expect(deliveryData.parse(await test.operations.records.delivery(id)).instanceCount).toBe(1);
  });
});
