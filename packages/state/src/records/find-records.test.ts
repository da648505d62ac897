import type { DeliveryData } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { redisNow } from '../redis/index.ts';
import { isDamaged, readable } from './damaged-record.ts';
import { act } from './delivery-acts.ts';
import { Records, type StudyRecord } from './index.ts';

const prefix = '{find}';
const start = 1_700_000_000_000;
let server: RedisServer;
let redis: Redis;
let records: Records;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  records = new Records(redis, prefix);
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

function dataOf(index: number, more: object = {}): StudyRecord & DeliveryData {
  return {
    source: 'main',
    orthancStudyId: `o-${index}`,
    epoch: '1',
    studyInstanceUid: `1.2.${index}`,
    contentHash: 'h',
    instanceCount: 3,
    modalities: ['CT'],
    rules: ['all'],
    targets: ['pacs'],
    studyTaskId: `s-${index}`,
    routedAt: start + index,
    lastUpdate: undefined,
    target: 'pacs',
    priority: 'normal',
    deliveryId: `d-${index}`,
    ...more,
  } as unknown as StudyRecord & DeliveryData;
}
const route = (index: number, more: object = {}) => records.routed(dataOf(index, more), [dataOf(index, more)]);

it('studies of a UID are those of one source or of all, and of no other UID', async () => {
  await route(1, { studyInstanceUid: '1.2' });
  await route(2, { studyInstanceUid: '1.2', source: 'other' });
  await route(3, { studyInstanceUid: '1.2', source: 'other2' });
  await route(4, { studyInstanceUid: '1.2.3' });
  const ids = async (...args: Parameters<Records['studiesOfUid']>) =>
    (await records.studiesOfUid(...args)).map(({ orthancStudyId }) => orthancStudyId).sort();
  expect(await ids('1.2')).toEqual(['o-1', 'o-2', 'o-3']);
  expect(await ids('1.2', 'other')).toEqual(['o-2']);
  expect(await ids('1.2', 'absent')).toEqual([]);
  expect(await ids('1')).toEqual([]);
  const found = await records.deliveriesOfUid('1.2', 'other');
  expect(found.map(({ deliveryId }) => deliveryId)).toEqual(['d-2']);
  expect(readable(await records.studiesById('main', ['o-4', 'o-9', 'o-1'])).map((one) => one?.orthancStudyId)).toEqual([
    'o-4',
    undefined,
    'o-1',
  ]);
  expect(await records.studiesById('main', [])).toEqual([]);
});

it('studies of a hash are those whose record has it, at most the requested number', async () => {
  for (const index of [1, 2, 3]) await route(index, { search: { key: 'k', hashes: ['abc', `h-${index}`] } });
  await route(4, { search: { key: 'k', hashes: ['abcd'] } });
  await route(5);
  const ids = async (hashes: string[], limit = 9) =>
    (await records.studiesOfHashes(hashes, limit)).map(({ orthancStudyId }) => orthancStudyId).sort();
  expect(await ids(['abc'])).toEqual(['o-1', 'o-2', 'o-3']);
  expect((await ids(['abc'], 2)).length).toBe(2);
  expect(await ids(['h-2', 'abcd'])).toEqual(['o-2', 'o-4']);
  expect(await ids(['h-1', 'abc'])).toEqual(['o-1', 'o-2', 'o-3']);
  expect(await ids(['ab'])).toEqual([]);
  expect(await ids([])).toEqual([]);
  // Made searchable later, by another key.
  const study = (await records.study({ source: 'main', orthancStudyId: 'o-4' }))!;
  await records.makeSearchable(study, { key: 'new', hashes: ['efg'] });
  expect([await ids(['abcd']), await ids(['efg'])]).toEqual([[], ['o-4']]);
  await records.makeSearchable({ ...study, studyTaskId: 'of an earlier routing' }, { key: 'old', hashes: ['hij'] });
  expect([await ids(['hij']), await ids(['efg'])]).toEqual([[], ['o-4']]);
});

it('the oldest studies of a source are returned in parts, up to a time', async () => {
  for (const index of [3, 1, 2]) await route(index);
  await route(4, { source: 'other' });
  const oldest = async (from: number, limit: number, before: number) =>
    (await records.oldestStudies('main', { from, limit, before })).map(
      ({ orthancStudyId, record }) => `${orthancStudyId} ${isDamaged(record) || record?.routedAt}`,
    );
  expect(await oldest(0, 2, start + 9)).toEqual([`o-1 ${start + 1}`, `o-2 ${start + 2}`]);
  expect(await oldest(2, 2, start + 9)).toEqual([`o-3 ${start + 3}`]);
  expect(await oldest(0, 9, start + 2)).toEqual([`o-1 ${start + 1}`]);
  await redis.del(`${prefix}:study:main:o-1`);
  expect(await oldest(0, 1, start + 9)).toEqual(['o-1 undefined']);
  expect(await records.studyCount()).toBe(4);
});

it('all ids, counts and ages of deliveries are read from the indexes', async () => {
  for (const index of [1, 2, 3]) await route(index);
  await route(4, { target: 'cloud' });
  await records.update('d-2', { state: 'active' });
  const ids: string[] = [];
  for await (const some of records.deliveryIds({ state: 'waiting' })) ids.push(...some);
  expect(ids).toEqual(['d-4', 'd-3', 'd-1']);
  expect(await records.counts()).toMatchObject({ waiting: 3, active: 1, delivered: 0 });
  expect(await records.counts('pacs')).toMatchObject({ waiting: 2, active: 1 });
  expect(await records.readyCount('pacs')).toBe(2);
  expect(await records.readyCount('web')).toBe(0);
  expect(await records.oldestIn('waiting')).toBe(start + 1);
  expect(await records.oldestIn('waiting', 'cloud')).toBe(start + 4);
  expect(await records.oldestIn('failed')).toBeUndefined();
  expect(await records.oldestIn('active', 'cloud')).toBeUndefined();
});

it('deliveries are returned with the requests of operators, several at a time, in the given order', async () => {
  for (const index of [1, 2, 3]) await route(index);
  await records.change('d-1', { ...act('hold'), patch: { wake: 'person' } });
  await records.change('d-2', { ...act('cancel'), patch: { state: 'cancelled' } });
  const before = await redisNow(redis, prefix);
  const found = readable(await records.lookAll(['d-3', 'd-9', 'd-2', 'd-1']));
  expect(found.map((one) => one && [one.record.deliveryId, one.isHeld, one.isCancelled])).toEqual([
    ['d-3', false, false],
    undefined,
    ['d-2', false, true],
    ['d-1', true, false],
  ]);
  expect(found[0]?.now).toBeGreaterThanOrEqual(before);
  expect(await records.lookAll([])).toEqual([]);
  // The set of held deliveries was lost, or the field of the record.
  await redis.del(`${prefix}:held`);
  expect((await records.look('d-1'))?.isHeld).toBe(true);
  await redis.sadd(`${prefix}:held`, 'd-3');
  expect((await records.look('d-3'))?.isHeld).toBe(true);
});

it('the deliveries of a study are returned newest first, all or some', async () => {
  const study = dataOf(1);
  for (const index of [1, 2, 3]) {
    await records.routed({ ...study, routedAt: start + index }, [
      { ...study, deliveryId: `d-${index}` } as DeliveryData,
    ]);
  }
  const ids = async (max?: number) => (await records.deliveriesOf(study, max)).map(({ deliveryId }) => deliveryId);
  expect(await ids()).toEqual(['d-3', 'd-2', 'd-1']);
  expect(await ids(2)).toEqual(['d-3', 'd-2']);
  expect(await ids(1)).toEqual(['d-3']);
  expect(records.channel).toBe(`${prefix}:changes`);
});

it('a sweep counts a study as routed only when its deliveries are queued, and only those of its last routing', async () => {
  await route(1);
  const key = { source: 'main', orthancStudyId: 'o-1' };
  await records.enqueued(dataOf(1, { lastUpdate: 'then' }));
  expect((await records.study(key))?.lastUpdate).toBe('then');
  await records.enqueued(dataOf(1, { lastUpdate: 'later', studyTaskId: 's-other' }));
  expect((await records.study(key))?.lastUpdate).toBe('then');
  await records.enqueued(dataOf(9, { lastUpdate: 'then' }));
  expect(await records.study({ ...key, orthancStudyId: 'o-9' })).toBeUndefined();
});

it('a lost record of a delivery is written again, without that of its study', async () => {
  await route(1);
  const key = { source: 'main', orthancStudyId: 'o-1' };
  expect(await records.restored(dataOf(1), dataOf(1))).toBe(0);
  await redis.del(`${prefix}:delivery:d-1`, `${prefix}:study:main:o-1`);
  expect(await records.restored(dataOf(1), dataOf(1))).toBe(1);
  expect(await records.delivery('d-1')).toMatchObject({ state: 'waiting', wake: 'job' });
  expect(await records.study(key)).toBeUndefined();
});

it('a delivery that was begun during reception becomes one of the complete study, once', async () => {
  await route(1, { arriving: true, rules: ['early'] });
  expect((await records.deliveries({ rule: 'early', limit: 9 })).records.length).toBe(1);
  expect(await records.whole(dataOf(1, { rules: ['late'], instanceCount: 9 }))).toBe(true);
  expect(await records.delivery('d-1')).toMatchObject({ rules: ['late'], total: 9 });
  expect((await records.deliveries({ rule: 'early', limit: 9 })).records.length).toBe(0);
  expect((await records.deliveries({ rule: 'late', limit: 9 })).records.length).toBe(1);
  expect(await records.whole(dataOf(1))).toBe(false);
  expect(await records.whole(dataOf(9))).toBe(false);
});

it('reconciliation checks an open delivery again when it is due, and no other', async () => {
  await route(1);
  expect(await records.toBeLookedAt(9)).toEqual([]);
  await records.lookAgain('d-1', -1_000);
  await records.lookAgain('d-9', -1_000);
  expect(await records.toBeLookedAt(9)).toEqual(['d-1']);
  await records.lookAgain('d-1', 60_000);
  expect(await records.toBeLookedAt(9)).toEqual([]);
  const due = Number(await redis.zscore(`${prefix}:index:open`, 'd-1'));
  expect(due).toBeGreaterThan((await redisNow(redis, prefix)) + 50_000);
  await records.lookAgain('d-1', undefined);
  expect(await redis.zcard(`${prefix}:index:open`)).toBe(0);
});

it('without Redis is a fault of the ledger', async () => {
  const away = new Redis({ host: '127.0.0.1', port: 1, lazyConnect: true, retryStrategy: () => null });
  onTestFinished(() => away.disconnect());
  away.on('error', () => {});
  const unknown = new Records(away, prefix);
  for (const act of [
    () => unknown.study(dataOf(1)),
    () => unknown.delivery('d-1'),
    () => unknown.look('d-1'),
    () => unknown.deliveries({ limit: 1 }),
    () => unknown.update('d-1', { state: 'active' }),
    () => unknown.routed(dataOf(1), []),
  ]) {
    await expect(act()).rejects.toMatchObject({
      code: 'ledger-unavailable',
      message: 'Redis did not answer for a record',
      cause: expect.any(Error),
    });
  }
});

describe('a damaged record', () => {
  const damaged = (key: string) => ({ code: 'record-damaged', message: expect.stringContaining(key) });

  it('of a study is an error for this study, and does not hide others from lists', async () => {
    for (const index of [1, 2, 3]) await route(index, { search: { key: 'k', hashes: ['abc'] } });
    const key = `${prefix}:study:main:o-2`;
    for (const text of ['["1","1.2', '{}', '[]', 'null', '7']) {
      await redis.set(key, text);
      const [one, two, three] = await records.studiesById('main', ['o-1', 'o-2', 'o-3']);
      expect([one, two, three], text).toMatchObject([
        { orthancStudyId: 'o-1' },
        { ...damaged(key), remedy: expect.stringContaining('DEL') },
        { orthancStudyId: 'o-3' },
      ]);
      await expect(records.study({ source: 'main', orthancStudyId: 'o-2' }), text).rejects.toMatchObject(damaged(key));
      const listed = await records.studies({ limit: 1 });
      expect(listed.records.map(({ orthancStudyId }) => orthancStudyId)).toEqual(['o-3']);
      const rest = await records.studies({ limit: 5, after: listed.next });
      expect(rest.records.map(({ orthancStudyId }) => orthancStudyId)).toEqual(['o-1']);
      expect((await records.studiesOfHashes(['abc'], 9)).length).toBe(2);
      const oldest = await records.oldestStudies('main', { from: 0, limit: 9, before: start + 9 });
      expect(oldest.map(({ record }) => record)).toMatchObject([{}, damaged(key), {}]);
    }
  });

  it('of a study is no proof that no other study has its UID', async () => {
    await route(1, { studyInstanceUid: '1.2' });
    await route(2, { studyInstanceUid: '1.2', source: 'other' });
    await route(3);
    const key = `${prefix}:study:other:o-2`;
    await redis.set(key, 'no JSON');
    await expect(records.studiesOfUid('1.2')).rejects.toMatchObject(damaged(key));
    await expect(records.deliveriesOfUid('1.2', 'other')).rejects.toMatchObject(damaged(key));
    expect((await records.studiesOfUid('1.2', 'main')).length).toBe(1);
    expect((await records.findOfUid('1.2')).map(({ source }) => source)).toEqual(['main']);
    expect((await records.studiesOfUid('1.2.3')).length).toBe(1);
  });

  it('of a delivery is an error for its study, and does not hide others from lists', async () => {
    for (const index of [1, 2, 3]) await route(index);
    const key = `${prefix}:delivery:d-2`;
    for (const text of ['no JSON', '{}', '[]', 'null', '7', '["main","o-2"]']) {
      await redis.hset(key, 'data', text);
      const study = { source: 'main', orthancStudyId: 'o-2' };
      await expect(records.deliveriesOf(study), text).rejects.toMatchObject(damaged(key));
      await expect(records.look('d-2'), text).rejects.toMatchObject(damaged(key));
      await expect(records.arrival('d-2'), text).rejects.toMatchObject(damaged(key));
      expect(await records.lookAll(['d-1', 'd-2', 'd-3', 'd-9']), text).toMatchObject([
        { record: { deliveryId: 'd-1' } },
        damaged(key),
        { record: { deliveryId: 'd-3' } },
        undefined,
      ]);
      const listed = await records.deliveries({ limit: 9 });
      expect(listed.records.map(({ deliveryId }) => deliveryId).toSorted(), text).toEqual(['d-1', 'd-3']);
    }
  });
});
