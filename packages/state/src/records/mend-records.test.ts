import type { DeliveryData } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { act } from './delivery-acts.ts';
import { RecordMender, Records, type StudyRecord } from './index.ts';

const prefix = '{mend}';
const start = 1_700_000_000_000;
const key = { source: 'main', orthancStudyId: 'o-1' };
let server: RedisServer;
let redis: Redis;
let records: Records;
let mender: RecordMender;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  records = new Records(redis, prefix);
  mender = new RecordMender(redis, prefix);
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const error = { code: 'instance-refused', stage: 'transfer', fault: 'target', message: 'no', remedy: 'x' } as const;

function dataOf(index: number, target = 'pacs'): StudyRecord & DeliveryData {
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
    search: { key: 'k', hashes: [`hash-${index}`] },
    target,
    priority: 'normal',
    deliveryId: `d-${index}-${target}`,
  } as unknown as StudyRecord & DeliveryData;
}

async function route(index: number, targets: readonly string[] = ['pacs']): Promise<void> {
  const study = { ...dataOf(index), targets };
  await records.routed(
    study,
    targets.map((target) => dataOf(index, target)),
  );
}

/** How many entries the index of Study Instance UIDs has. */
async function studyUids(): Promise<number> {
  const counts = await Promise.all((await redis.keys(`${prefix}:index:study-uids:*`)).map((name) => redis.hlen(name)));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** All lists and indexes with their scores. */
async function lists(): Promise<Record<string, readonly string[]>> {
  const names = (await redis.keys('*')).filter((name) => /:index:|:study-deliveries:|:held$/.test(name)).sort();
  const found = await Promise.all(
    names.map(async (name) => {
      const type = await redis.type(name);
      if (type === 'set') return [name, (await redis.smembers(name)).sort()] as const;
      if (type === 'hash') return [name, (await redis.hkeys(name)).sort()] as const;
      // When an open one is checked next depends on the time.
      const members = await redis.zrange(name, '0', '-1');
      return [
        name,
        name.endsWith(':open') ? members.sort() : await redis.zrange(name, '0', '-1', 'WITHSCORES'),
      ] as const;
    }),
  );
  return Object.fromEntries(found);
}

it('each list and index is made again from the records, and what is there is counted as such', async () => {
  await route(1, ['pacs', 'cloud', 'web', 'lab']);
  await records.update('d-1-cloud', { state: 'active' });
  await records.change('d-1-cloud', { ...act('end'), patch: { state: 'failed', error, failStage: 'connect' } });
  await records.change('d-1-web', { ...act('hold'), patch: { wake: 'person' } });
  await records.update('d-1-lab', { wake: 'schedule' });
  const before = await lists();
  expect(await mender.mendStudy(key)).toMatchObject({ missed: 0, lost: [], listed: 4, study: { routedAt: start + 1 } });
  for (const name of Object.keys(before)) {
    // The list of deliveries is made from their index, not from itself.
    if (name.includes('study-deliveries')) continue;
    const type = await redis.type(name);
    const count = await (type === 'hash' ? redis.hlen(name) : type === 'set' ? redis.scard(name) : redis.zcard(name));
    await redis.del(name);
    const { missed } = await mender.mendStudy(key);
    expect(missed, name).toBe(count);
    expect(await lists(), name).toEqual(before);
  }
  await redis.del(`${prefix}:study-deliveries:main:o-1`);
  expect(await mender.mendStudy(key)).toMatchObject({ missed: 0, listed: 0 });
  const ids = ['d-1-pacs', 'd-1-cloud', 'd-1-web', 'd-1-lab'];
  expect(await mender.mendDeliveries('state:waiting', ids)).toEqual({ missed: 4, lost: [], damaged: new Map() });
  expect(await mender.mendDeliveries('state:waiting', [])).toEqual({ missed: 0, lost: [], damaged: new Map() });
  expect(await lists()).toEqual(before);
});

it('deliveries and studies without a record are named, if they are still listed', async () => {
  await route(1, ['pacs', 'cloud']);
  await redis.del(`${prefix}:delivery:d-1-cloud`, `${prefix}:study:main:o-1`);
  expect(await mender.mendStudy(key)).toEqual({ study: undefined, missed: 0, lost: ['d-1-cloud'], listed: 2 });
  expect(await mender.mendDeliveries('state:waiting', ['d-1-pacs', 'd-1-cloud', 'd-9'])).toEqual({
    missed: 0,
    lost: ['d-1-cloud'],
    damaged: new Map(),
  });
  await mender.drop(key, 'd-1-cloud');
  expect(await redis.zrange(`${prefix}:study-deliveries:main:o-1`, '0', '-1')).toEqual(['d-1-pacs']);
  expect(await redis.zrange(`${prefix}:index:open`, '0', '-1')).toEqual(['d-1-pacs']);
  expect(await redis.zrange(`${prefix}:index:state:waiting`, '0', '-1')).toEqual(['d-1-pacs']);
  expect(await mender.mendDeliveries('state:waiting', ['d-1-cloud'])).toEqual({
    missed: 0,
    lost: [],
    damaged: new Map(),
  });
});

it('a hold that is known to the record or to the set alone is known to both again', async () => {
  await route(1, ['pacs', 'cloud']);
  for (const id of ['d-1-pacs', 'd-1-cloud']) await records.change(id, { ...act('hold'), patch: { wake: 'person' } });
  await redis.srem(`${prefix}:held`, 'd-1-pacs');
  await redis.hdel(`${prefix}:delivery:d-1-cloud`, 'held');
  expect((await mender.mendStudy(key)).missed).toBe(1);
  expect((await redis.smembers(`${prefix}:held`)).sort()).toEqual(['d-1-cloud', 'd-1-pacs']);
  expect(await redis.hget(`${prefix}:delivery:d-1-cloud`, 'held')).toBe('1');
});

it('a delivery that had ended is written as ended, and never starts again', async () => {
  await route(1, ['pacs', 'cloud', 'web']);
  await records.update('d-1-pacs', { state: 'active' });
  await records.change('d-1-pacs', { ...act('end'), patch: { state: 'delivered' } });
  await records.update('d-1-cloud', { state: 'active' });
  await records.change('d-1-cloud', { ...act('end'), patch: { state: 'failed', error } });
  const endedAt = Number(await redis.zscore(`${prefix}:index:state:delivered`, 'd-1-pacs'));
  expect(await mender.restoreEnded(dataOf(1, 'pacs'))).toBeUndefined();
  for (const id of ['d-1-pacs', 'd-1-cloud', 'd-1-web'])
    await redis.del(`${prefix}:delivery:${id}`, `${prefix}:events:${id}`);
  expect(await mender.restoreEnded(dataOf(1, 'pacs'))).toBe('delivered');
  expect(await mender.restoreEnded(dataOf(1, 'cloud'))).toBe('failed');
  expect(await mender.restoreEnded(dataOf(1, 'web'))).toBeUndefined();
  expect(await records.delivery('d-1-web')).toBeUndefined();
  expect(await records.delivery('d-1-pacs')).toMatchObject({
    state: 'delivered',
    confirmed: 3,
    updatedAt: endedAt,
    endedAt,
    since: endedAt,
  });
  expect(await records.delivery('d-1-cloud')).toMatchObject({ state: 'failed', confirmed: 0, error: undefined });
  expect(await records.errors()).toEqual([]);
  const [event] = await records.events('d-1-pacs');
  expect(event).toMatchObject({ kind: 'noticed', at: expect.any(Number) as number });
  expect(event?.text).toContain('its record was missing in Redis');
  expect(await records.change('d-1-pacs', { ...act('begin'), patch: { state: 'active' } })).toMatchObject({
    why: 'state',
  });
});

it('the indexes are walked in parts, in their order', async () => {
  expect(await mender.count()).toEqual({ studies: 0, deliveries: 0 });
  for (let index = 1; index <= 5; index += 1) await route(index, ['pacs', 'cloud']);
  await records.update('d-1-pacs', { state: 'active' });
  expect(await mender.count()).toEqual({ studies: 5, deliveries: 10 });
  const studies = (from: number, count: number) =>
    mender
      .studies(from, count)
      .then((found) => found.map(({ source, orthancStudyId }) => `${source} ${orthancStudyId}`));
  expect(await studies(0, 2)).toEqual(['main o-1', 'main o-2']);
  expect(await studies(2, 2)).toEqual(['main o-3', 'main o-4']);
  expect(await studies(4, 2)).toEqual(['main o-5']);
  expect(await mender.deliveries('waiting', 1, 2)).toEqual(['d-2-cloud', 'd-2-pacs']);
  expect(await mender.deliveries('active', 0, 9)).toEqual(['d-1-pacs']);
});

it('studies that only the index of UIDs has are entered again, and those of which nothing is left are removed', async () => {
  for (let index = 1; index <= 5; index += 1) await route(index);
  const missing = ['main o-1', 'main o-2', 'main o-4'];
  await redis.zrem(`${prefix}:index:studies`, ...missing);
  // Of one only its deliveries are left, of another nothing.
  await redis.del(`${prefix}:study:main:o-2`, `${prefix}:study:main:o-4`, `${prefix}:study-deliveries:main:o-4`);
  // In parts: of this many entries, in the order of the buckets.
  let [from, entered, parts] = [0, 0, 0];
  do {
    const part = await mender.mendStudyIndex(from, 2);
    expect(part.next === 0 || part.next > from).toBe(true);
    [from, entered, parts] = [part.next, entered + part.entered, parts + 1];
  } while (from !== 0);
  expect([entered, parts]).toEqual([2, 3]);
  expect(await mender.mendStudyIndex(0, 9)).toEqual({ entered: 0, next: 0 });
  expect((await redis.zrange(`${prefix}:index:studies`, '0', '-1')).sort()).toEqual([
    'main o-1',
    'main o-2',
    'main o-3',
    'main o-5',
  ]);
  expect(await redis.zscore(`${prefix}:index:studies`, 'main o-1')).toBe(String(start + 1));
  expect(await studyUids()).toBe(4);
  await redis.flushall();
  expect(await mender.mendStudyIndex(0, 9)).toEqual({ entered: 0, next: 0 });
});

it('studies that their source lists are entered if they have a record or deliveries', async () => {
  for (let index = 1; index <= 3; index += 1) await route(index);
  await redis.zrem(`${prefix}:index:studies`, 'main o-1', 'main o-2');
  await redis.del(`${prefix}:study:main:o-2`);
  expect(await mender.enterStudies('main', [])).toBe(0);
  expect(await mender.enterStudies('main', ['o-1', 'o-2', 'o-3', 'o-9'])).toBe(2);
  expect(await mender.enterStudies('main', ['o-1', 'o-2', 'o-3', 'o-9'])).toBe(0);
  expect(await redis.zscore(`${prefix}:index:studies`, 'main o-1')).toBe(String(start + 1));
  expect(Number(await redis.zscore(`${prefix}:index:studies`, 'main o-2'))).toBeGreaterThan(start + 1e9);
  // One with a record stays, one of which nothing is left goes.
  await mender.leaveIndex(key);
  expect(await redis.zscore(`${prefix}:index:studies`, 'main o-1')).not.toBeNull();
  await redis.del(`${prefix}:study:main:o-1`, `${prefix}:study-deliveries:main:o-1`);
  await mender.leaveIndex(key);
  expect(await redis.zscore(`${prefix}:index:studies`, 'main o-1')).toBeNull();
  expect(await studyUids()).toBe(3);
});

it('the indexes show which deliveries ended without being sent, and which targets have one', async () => {
  await route(1, ['pacs', 'cloud', 'web', 'lab']);
  const end = async (id: string, state: 'cancelled' | 'moved' | 'resolved' | 'delivered') =>
    redis.zadd(`${prefix}:index:state:${state}`, 1, id);
  await end('d-1-pacs', 'cancelled');
  await end('d-1-cloud', 'moved');
  await end('d-1-web', 'resolved');
  await end('d-1-lab', 'delivered');
  const ids = ['d-1-pacs', 'd-1-cloud', 'd-1-web', 'd-1-lab', 'd-9'];
  expect([...(await mender.endedUnsent(ids))]).toEqual(ids.slice(0, 3));
  expect((await mender.endedUnsent([])).size).toBe(0);
  const targets = await mender.targetsOf(['d-1-pacs', 'd-1-web'], ['pacs', 'cloud', 'web']);
  expect([...targets]).toEqual(['pacs', 'web']);
  expect((await mender.targetsOf([], ['pacs'])).size).toBe(0);
});
