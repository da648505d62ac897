import { contentHash, Secret, studyTaskData } from '@dicom-dispatch/core';
import { fromNow } from '@dicom-dispatch/state/records';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { jobPlace } from './queues/index.ts';
import { startTestPipeline, type EnqueueOptions, type TestPipeline } from './testing/start-test-pipeline.ts';

let test: TestPipeline;
beforeAll(async () => {
  test = await startTestPipeline(undefined, {
    records: { searchKey: new Secret('0123456789abcdef') },
    groups: { any: { targets: ['a', 'b'], strategy: 'first-available' } },
  });
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
});

const key = { source: 'main', orthancStudyId: 'o-1.2' };
const tags = { study: { AccessionNumber: 'A1', PatientID: 'P1' }, series: new Map() };
const enqueue = (options: EnqueueOptions = {}) =>
  test.enqueue('1.2', { ...options, study: { tags, ...options.study } as never });
const study = () => test.operations.records.study(key);
const place = async (id: string, target = 'a'): Promise<string> =>
  (await jobPlace(test.redis, test.operations.queues.target(target), id)).state;
const taskOf = async (id: string) => (await test.operations.queues.study().getJob(id))?.data as unknown;

describe('the record of a study', () => {
  it('is that of its last routing by the rules', async () => {
    const { studyTaskId, contentHash: hash, deliveries, isNew } = await enqueue({ to: ['a', 'b'], rules: ['r', 's'] });
    expect(isNew).toBe(true);
    expect(await study()).toMatchObject({
      ...key,
      studyTaskId,
      contentHash: hash,
      epoch: '1',
      studyInstanceUid: '1.2',
      instanceCount: 2,
      modalities: [],
      rules: ['r', 's'],
      targets: ['a', 'b'],
      lastUpdate: '20260101T000000',
    });
    for (const absent of ['omitted', 'pulled', 'isIncomplete', 'onSuccess', 'priority'])
      expect(await study()).not.toHaveProperty(absent);
    expect(deliveries[0]).not.toHaveProperty('targets');
    const grown = await enqueue({ instances: 3, epoch: '2' });
    expect(grown.isNew).toBe(false);
    expect(await study()).toMatchObject({
      instanceCount: 3,
      targets: ['a'],
      epoch: '2',
      contentHash: grown.contentHash,
    });
  });

  it('has the modalities of its tags', async () => {
    const facts = (value: unknown) => ({ study: { facts: { study: { ModalitiesInStudy: value } } } }) as never;
    await enqueue(facts(['CT', 'SR']));
    expect((await study())?.modalities).toEqual(['CT', 'SR']);
    await enqueue(facts('CT'));
    expect((await study())?.modalities).toEqual([]);
  });

  it('shows that a rule waits for further instances', async () => {
    await enqueue({ isIncomplete: true });
    expect((await study())?.isIncomplete).toBe(true);
    await enqueue({ isIncomplete: false });
    expect(await study()).not.toHaveProperty('isIncomplete');
  });

  it('can be found by hashes if the configuration has a key for them', async () => {
    await enqueue();
    expect((await study())?.search?.hashes.length).toBeGreaterThanOrEqual(2);
    test.enqueuer.reload({ ...test.config, records: { ...test.config.records, searchKey: undefined } } as never);
    try {
      await enqueue();
      expect((await study())?.search).toBeUndefined();
    } finally {
      test.enqueuer.reload(test.config);
    }
  });

  it('is not changed when an operator sends the study, except for its targets', async () => {
    await enqueue();
    const before = await study();
    await enqueue({ to: ['b'], byHand: true, nonce: 'n', rules: [], instances: 5, study: { lastUpdate: 'later' } });
    expect(await study()).toEqual({ ...before, targets: ['a', 'b'] });
  });

  it('of a study that was only sent by an operator is not routed: the sweep finds it', async () => {
    const { isNew } = await enqueue({ byHand: true, nonce: 'n' });
    expect(isNew).toBe(true);
    expect(await study()).toMatchObject({ targets: ['a'], instanceCount: 2 });
    expect((await study())?.lastUpdate).toBeUndefined();
  });

  it('of a study that was pulled has the content that is not routed', async () => {
    const { contentHash: pulled } = await enqueue({ to: [], byHand: true, isPulled: true });
    expect(await study()).toMatchObject({ pulled, lastUpdate: '20260101T000000', targets: [] });
    await test.redis.flushall();
    await enqueue();
    const before = await study();
    const other = await enqueue({ to: [], byHand: true, isPulled: true, instances: 4, study: { lastUpdate: 'later' } });
    expect(await study()).toEqual({ ...before, pulled: other.contentHash, lastUpdate: 'later' });
  });

  it('keeps the other targets when the same content is routed to some only', async () => {
    await enqueue({ to: ['a', 'b'] });
    const { deliveries, added } = await enqueue({ to: ['a', 'b'], only: ['b'] });
    expect([deliveries.map(({ target }) => target), added]).toEqual([['b'], []]);
    expect((await study())?.targets).toEqual(['a', 'b']);
    // Other content is there only where it is sent.
    await enqueue({ to: ['a', 'b'], only: ['b'], instances: 3 });
    expect((await study())?.targets).toEqual(['b']);
  });

  it('of content that is routed to some targets has these only, if it was not known', async () => {
    const { deliveries } = await enqueue({ to: ['any', 'b'], only: ['any'] });
    expect(deliveries.map(({ target, group }) => [target, group?.name])).toEqual([['a', 'any']]);
    expect((await study())?.targets).toEqual(['a']);
  });
});

describe('a delivery', () => {
  it('of a known study is marked, because its target may have a part of it', async () => {
    expect((await enqueue()).deliveries[0]).not.toHaveProperty('again');
    expect((await enqueue({ instances: 3 })).deliveries).toMatchObject([{ again: true }]);
  });

  it('has the most urgent priority of the study in its study task', async () => {
    const to = (target: string, priority: 'stat' | 'background') =>
      ({ to: target, priority, rules: ['r'], hold: false, late: 'difference' }) as const;
    const { studyTaskId } = await enqueue({ deliveries: [to('a', 'background'), to('b', 'stat')] });
    expect(await taskOf(studyTaskId)).toMatchObject({ priority: 'stat', targets: ['a', 'b'] });
    const job = await test.operations.queues
      .target('a')
      .getJob((await enqueue({ to: ['a'] })).deliveries[0]!.deliveryId);
    expect(job?.data).toMatchObject({ priority: 'background', studyTaskId });
  });

  it('keeps its id if another version computed it in another way', async () => {
    const { deliveries } = await enqueue();
    const { contentHash: hash } = deliveries[0]!;
    const former = { ...deliveries[0]!, deliveryId: 'd-former', contentHash: hash };
    await test.redis.flushall();
    await test.operations.records.routed({ ...former, targets: ['a'], lastUpdate: undefined } as never, [former]);
    expect((await enqueue()).deliveries.map(({ deliveryId }) => deliveryId)).toEqual(['d-former']);
    const others = [await enqueue({ to: ['b'] }), await enqueue({ nonce: 'n' }), await enqueue({ instances: 3 })];
    for (const { deliveries: other } of others)
      expect(other.map(({ deliveryId }) => deliveryId)).not.toContain('d-former');
  });

  it('is one for each request of an operator', async () => {
    const ids = new Set<string>();
    for (const nonce of [undefined, 'n', 'm', 'n']) {
      const { deliveries } = await enqueue(nonce === undefined ? {} : { nonce });
      ids.add(deliveries[0]!.deliveryId);
    }
    expect(ids.size).toBe(3);
    expect(await test.operations.queues.target('a').getJobCounts('prioritized')).toEqual({ prioritized: 3 });
  });

  it('gets its target into the list of targets with deliveries', async () => {
    await enqueue({ to: ['a', 'b'] });
    expect((await test.redis.smembers(test.operations.keys.targets)).toSorted()).toEqual(['a', 'b']);
  });
});

describe('the same content again', () => {
  it('continues a delivery whose job BullMQ has ended', async () => {
    const id = (await enqueue()).added[0]!.deliveryId;
    const queue = test.operations.queues.target('a');
    await test.redis.zrem(queue.toKey('prioritized'), id);
    await test.redis.zadd(queue.toKey('failed'), Date.now(), id);
    expect((await enqueue()).added).toEqual([]);
    expect(await place(id)).toBe('ready');
  });

  it('leaves a delivery that waits for its time', async () => {
    const id = (await enqueue()).added[0]!.deliveryId;
    const queue = test.operations.queues.target('a');
    await test.redis.zrem(queue.toKey('prioritized'), id);
    await test.redis.zadd(queue.toKey('delayed'), (Date.now() + 3_600_000) * 4096, id);
    await test.operations.records.update(id, { wake: 'due', nextAttemptAt: fromNow(3_600_000) });
    await enqueue();
    expect(await place(id)).toBe('delayed');
  });

  it.each(['delivered', 'partial', 'failed', 'source-gone', 'cancelled', 'moved', 'resolved'] as const)(
    'does not send what has ended as %s',
    async (state) => {
      const id = (await enqueue()).added[0]!.deliveryId;
      await test.operations.queues.target('a').remove(id);
      await test.operations.records.update(id, { state });
      const { added, deliveries } = await enqueue();
      expect([added, deliveries.map(({ deliveryId }) => deliveryId)]).toEqual([[], [id]]);
      expect(await place(id)).toBe('missing');
      expect((await test.operations.records.delivery(id))?.state).toBe(state);
    },
  );

  it('for a further target is a part of the study task, which runs when that has arrived', async () => {
    const onSuccess = { labels: ['sent'], metadata: {}, unprotect: false, delete: false };
    const first = await enqueue({ onSuccess });
    await test.tasks.finish(first.studyTaskId, [], []);
    await test.operations.records.update(first.added[0]!.deliveryId, { state: 'delivered' });
    const second = await enqueue({ to: ['a', 'b'], onSuccess });
    expect(second.studyTaskId).toBe(first.studyTaskId);
    expect(second.added).toMatchObject([{ target: 'b' }]);
    const { id = '' } = (await test.operations.queues.target('b').getJob(second.added[0]!.deliveryId))?.parent ?? {};
    expect(id).not.toBe(first.studyTaskId);
    const part = { studyTaskId: id, partOf: first.studyTaskId, targets: ['b'], onSuccess };
    expect(studyTaskData.parse(await taskOf(id))).toMatchObject(part);
    expect(await taskOf(first.studyTaskId)).not.toHaveProperty('partOf');
    expect(await test.tasks.read(first.studyTaskId)).toMatchObject({ state: 'waiting', data: { targets: ['a', 'b'] } });
  });

  it('has no part without actions in the source to be done again', async () => {
    const { studyTaskId } = await enqueue();
    await enqueue({ to: ['a', 'b'] });
    expect(await test.tasks.read(studyTaskId)).toBeUndefined();
  });
});

describe('actions in the source after success', () => {
  const onSuccess = { labels: ['sent'], metadata: {}, unprotect: false, delete: false };

  it('are stored with the deliveries that they wait for', async () => {
    const { studyTaskId } = await enqueue({ to: ['a', 'b'], onSuccess });
    expect(await test.tasks.read(studyTaskId)).toMatchObject({
      state: 'waiting',
      data: { onSuccess, targets: ['a', 'b'] },
    });
    expect(await taskOf(studyTaskId)).toMatchObject({ onSuccess });
  });

  it('are not begun again after all deliveries have ended', async () => {
    const { studyTaskId, added } = await enqueue({ onSuccess });
    await test.operations.records.update(added[0]!.deliveryId, { state: 'delivered' });
    await test.redis.del(test.operations.keys.task(studyTaskId));
    await enqueue({ onSuccess });
    expect(await test.tasks.read(studyTaskId)).toBeUndefined();
  });

  it('are stored again if they were lost while a delivery is open', async () => {
    const { studyTaskId, added } = await enqueue({ to: ['a', 'b'], onSuccess });
    await test.operations.records.update(added[0]!.deliveryId, { state: 'delivered' });
    await test.redis.del(test.operations.keys.task(studyTaskId));
    await enqueue({ to: ['a', 'b'], onSuccess });
    expect(await test.tasks.read(studyTaskId)).toMatchObject({ state: 'waiting' });
  });
});

it('two routers that route a study at once add it once', async () => {
  const results = await Promise.all(Array.from({ length: 4 }, () => enqueue({ to: ['a', 'b'] })));
  expect(results.filter(({ isNew }) => isNew)).toHaveLength(1);
  for (const target of ['a', 'b'])
    expect(await test.operations.queues.target(target).getJobCounts('prioritized')).toEqual({ prioritized: 1 });
  const manifest = [0, 1].map((index) => ({ sopInstanceUid: `1.2.${index}`, version: '1' })) as never;
  expect(results[0]?.contentHash).toBe(contentHash(manifest));
});
