import { ledgerKeyOf } from '@dicom-dispatch/core';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { forgetStudy } from './forget-study.ts';
import { startTestPipeline, type TestPipeline } from './testing/start-test-pipeline.ts';

let test: TestPipeline;
beforeAll(async () => {
  test = await startTestPipeline();
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
});

const key = { source: 'main', orthancStudyId: 'o-1.2' };
const forget = (terms: Partial<Parameters<typeof forgetStudy>[2]> = {}) =>
  forgetStudy(test.operations, key, { before: Date.now() + 60_000, withFailed: true, dryRun: false, ...terms });

/** A study that was delivered, with the confirmations of its target. */
async function delivered(): Promise<string> {
  const { added } = await test.enqueue('1.2');
  const [data] = added;
  const confirmation = { version: '1', attempt: 1, deliveryId: data!.deliveryId };
  await test.operations.ledger.confirm(
    ledgerKeyOf(data!),
    ['1.2.0', '1.2.1'].map((sopInstanceUid) => ({ ...confirmation, sopInstanceUid })),
  );
  await test.operations.sharedUids.add(key, new Set(['1.2.0', '1.2.1']));
  await test.operations.records.update(data!.deliveryId, { state: 'delivered' });
  await test.redis.zrem(test.operations.queues.target('a').toKey('prioritized'), data!.deliveryId);
  await test.redis.zadd(test.operations.queues.target('a').toKey('completed'), 1, data!.deliveryId);
  return data!.deliveryId;
}
const left = async (): Promise<string[]> =>
  (await test.redis.keys('*')).filter((one) => /o-1\.2|delivery:|ledger:|uids:/.test(one));

it('nothing is left of a study whose deliveries have ended', async () => {
  const id = await delivered();
  expect(await left()).not.toEqual([]);
  expect(await forget()).toMatchObject({ answer: 'forgotten' });
  expect(await left()).toEqual([]);
  expect(await test.operations.records.delivery(id)).toBeUndefined();
});

it('a check removes nothing', async () => {
  await delivered();
  const before = await left();
  expect(await forget({ dryRun: true })).toMatchObject({ answer: 'forgotten' });
  expect(await left()).toEqual(before);
});

it('a study with an open delivery keeps everything, and what is known of its UIDs', async () => {
  const id = await delivered();
  await test.redis.hset(test.operations.keys.delivery(id), 'state', 'waiting');
  const before = await left();
  const { answer } = await forget();
  expect(['forgotten', 'unknown']).not.toContain(answer);
  expect(await left()).toEqual(before);
});

it('deliveries are found whose list was lost, and an open one keeps the study', async () => {
  const id = await delivered();
  await test.redis.hset(test.operations.keys.delivery(id), 'state', 'waiting');
  await test.redis.del(test.operations.keys.studyDeliveries('main', 'o-1.2'));
  const searched = new Set<string>();
  const { answer } = await forget({ searched });
  expect(['forgotten', 'unknown']).not.toContain(answer);
  expect(await test.operations.records.delivery(id)).toMatchObject({ deliveryId: id });
  expect([...searched]).toEqual(['main']);
});

it('the deliveries of a source are searched once', async () => {
  await delivered();
  await test.redis.del(test.operations.keys.studyDeliveries('main', 'o-1.2'));
  await forget({ searched: new Set(['main']) });
  expect(await test.redis.exists(test.operations.keys.studyDeliveries('main', 'o-1.2'))).toBe(0);
});

it('nothing is searched for a study with its list, or without targets', async () => {
  await delivered();
  const searched = new Set<string>();
  await forget({ searched });
  expect(searched.size).toBe(0);
  await test.enqueue('1.2', { to: [] });
  await forget({ searched });
  expect(searched.size).toBe(0);
});
