import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createLedger } from '../ledger/index.ts';
import { versionHash } from '../ledger/entry-codec.ts';
import { shardOf } from '../ledger/ledger-keys.ts';
import { Records } from '../records/index.ts';
import { distributeLookups } from './distribute-lookups.ts';
import { keyStudiesByOrthancId } from './key-studies-by-orthanc-id.ts';
import { openFormat } from './migrate.ts';

const prefix = '{dicom-dispatch}';
let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(() => redis.flushall());

interface Old {
  readonly uid: string;
  /** Orthanc's ids of the studies with this UID; the record is that of the last. */
  readonly ids: readonly string[];
  readonly rules?: readonly string[];
}

/** Writes a study as the previous version wrote it: by its UID, with one delivery for each of its ids. */
async function writeOld({ uid, ids, rules = ['all'] }: Old): Promise<void> {
  const at = 1_700_000_000_000;
  const member = `main ${uid}`;
  const shared = { source: 'main', epoch: '1', studyInstanceUid: uid, contentHash: 'h', instanceCount: 2 };
  const terms = { modalities: [], rules, studyTaskId: 's-1', routedAt: at };
  for (const id of ids) {
    const study = { ...shared, ...terms, orthancStudyId: id, targets: ['pacs'], lastUpdate: '20260101T000000' };
    await redis.set(`${prefix}:study:main:${uid}`, JSON.stringify(study));
    const delivery = { ...shared, ...terms, orthancStudyId: id, target: 'pacs', deliveryId: `d-${id}` };
    await redis.hset(`${prefix}:delivery:d-${id}`, { data: JSON.stringify(delivery), state: 'delivered' });
    await redis.zadd(`${prefix}:study-deliveries:main:${uid}`, at, `d-${id}`);
  }
  await redis.zadd(`${prefix}:index:studies`, at, member);
  await redis.zadd(`${prefix}:index:studies-source:main`, at, member);
  for (const rule of rules) await redis.zadd(`${prefix}:index:studies-rule:${rule}`, at, member);
  const hash = versionHash('v1');
  const field = `${uid.length}~.1`;
  await redis.hset(`${prefix}:ledger:main:${uid}:pacs:${shardOf(field) - 1}`, field, `d ${hash} 1 lpa2f9q1 d-0a1b2c3d`);
  await redis.hset(`${prefix}:choices:main ${uid}`, 'any', '{"target":"pacs","contentHash":"h"}');
  await redis.zadd(`${prefix}:left:main`, at, uid);
}

async function namesOfUid(uid: string): Promise<string[]> {
  return (await redis.keys('*')).filter((key) => key.includes(`:${uid}`) || key.endsWith(` ${uid}`));
}

test('records of later formats stay as they are, if the key of the format was lost; damaged ones as well, and are reported', async () => {
  await writeOld({ uid: '1.2.3', ids: ['o-3'] });
  const texts = [
    '["1.2.4","1"]',
    'no JSON',
    '{}',
    '[]',
    '7',
    '{"orthancStudyId":"o"}',
    '{"orthancStudyId":7,"rules":[]}',
  ];
  for (const [at, text] of texts.entries()) {
    await redis.set(`${prefix}:study:main:o-kept-${at}`, text);
    await redis.zadd(`${prefix}:index:studies`, 1, `main o-kept-${at}`);
    // The record of a study is lost, that of its delivery is not.
    await redis.hset(`${prefix}:delivery:d-kept-${at}`, 'data', text);
    await redis.zadd(`${prefix}:study-deliveries:main:o-lost-${at}`, 1, `d-kept-${at}`);
    await redis.zadd(`${prefix}:index:studies`, 1, `main o-lost-${at}`);
  }
  const kept = (await redis.keys('*kept-*')).sort();
  for (let run = 0; run < 2; run += 1) {
    const damaged: string[] = [];
    await keyStudiesByOrthancId(redis, prefix, { renew: async () => {}, onDamaged: (key) => damaged.push(key) });
    // The lists are of a later format.
    const wrong = texts.flatMap((text, at) =>
      text.startsWith('[') ? [] : [`study:main:o-kept-${at}`, `delivery:d-kept-${at}`],
    );
    expect(damaged.toSorted()).toEqual(wrong.map((name) => `${prefix}:${name}`).toSorted());
  }
  expect((await redis.keys('*kept-*')).sort()).toEqual(kept);
  for (const [at, text] of texts.entries()) {
    expect(await redis.get(`${prefix}:study:main:o-kept-${at}`)).toBe(text);
    expect(await redis.zscore(`${prefix}:study-deliveries:main:o-lost-${at}`, `d-kept-${at}`)).toBe('1');
    for (const name of ['kept', 'lost']) {
      expect(await redis.zscore(`${prefix}:index:studies`, `main o-${name}-${at}`)).toBe('1');
    }
  }
  expect(await redis.exists(`${prefix}:study:main:o-3`)).toBe(1);
  expect(await namesOfUid('1.2.3')).toEqual([]);
});

test('studies move to their ids, with deliveries, confirmations, choices and places in lists', async () => {
  for (let index = 0; index < 50; index += 1) await writeOld({ uid: `1.2.${index}`, ids: [`o-${index}`] });
  await keyStudiesByOrthancId(redis, prefix);
  const records = new Records(redis, prefix);
  const key = { source: 'main', orthancStudyId: 'o-7' };
  expect(await records.study(key)).toMatchObject({
    studyInstanceUid: '1.2.7',
    lastUpdate: '20260101T000000',
    modalities: [],
  });
  expect((await records.deliveriesOf(key)).map(({ deliveryId }) => deliveryId)).toEqual(['d-o-7']);
  await distributeLookups(redis, prefix);
  expect(await records.studiesOfUid('1.2.7')).toMatchObject([{ orthancStudyId: 'o-7' }]);
  expect(await records.studyCount()).toBe(50);
  expect((await records.studies({ rule: 'all', source: 'main', limit: 100 })).records.length).toBe(50);
  const ledger = createLedger(redis, { prefix });
  const instance = { sopInstanceUid: '1.2.7.1', seriesInstanceUid: '1.2.7.9', version: 'v1' };
  const { delivered } = await ledger.compare({ ...key, studyInstanceUid: '1.2.7', target: 'pacs' }, [instance]);
  expect(delivered).toEqual([instance]);
  expect(await redis.hget(`${prefix}:choices:main o-7`, 'any')).toContain('pacs');
  expect(await redis.zrange(`${prefix}:left:main`, '0', '-1')).toHaveLength(50);
  for (let index = 0; index < 50; index += 1) expect(await namesOfUid(`1.2.${index}`)).toEqual([]);

  const before = await redis.dbsize();
  await keyStudiesByOrthancId(redis, prefix);
  expect(await redis.dbsize()).toBe(before);
  expect(await records.studyCount()).toBe(50);
});

test('studies of two patients that shared a UID become two, each with what it was delivered', async () => {
  await writeOld({ uid: '1.2.3', ids: ['o-a', 'o-b'], rules: [] });
  await keyStudiesByOrthancId(redis, prefix);
  const records = new Records(redis, prefix);
  const ledger = createLedger(redis, { prefix });
  for (const id of ['o-a', 'o-b']) {
    const key = { source: 'main', orthancStudyId: id };
    expect(await records.study(key)).toMatchObject({ ...key, rules: [], modalities: [], targets: ['pacs'] });
    expect((await records.deliveriesOf(key)).map(({ deliveryId }) => deliveryId)).toEqual([`d-${id}`]);
    expect((await ledger.entries({ ...key, studyInstanceUid: '1.2.3', target: 'pacs' })).size).toBe(1);
  }
  // The record of one had been overwritten by the other's: a sweep must check it.
  expect((await records.study({ source: 'main', orthancStudyId: 'o-a' }))?.lastUpdate).toBeUndefined();
  expect((await records.study({ source: 'main', orthancStudyId: 'o-b' }))?.lastUpdate).toBeDefined();
  await distributeLookups(redis, prefix);
  expect((await records.studiesOfUid('1.2.3', 'main')).length).toBe(2);
  expect(await namesOfUid('1.2.3')).toEqual([]);
});

test('the migration names each damaged record once, and at most 100', async () => {
  await redis.set(`${prefix}:study:main:1.2.3`, '{}');
  await redis.zadd(`${prefix}:index:studies`, 1, 'main 1.2.3');
  const run = async (): Promise<readonly [string[], number]> => {
    const damaged: string[] = [];
    let more = 0;
    await redis.set(`${prefix}:format`, 1);
    const onMoreDamaged = (): void => void (more += 1);
    await openFormat(redis, prefix, { onDamaged: (key) => damaged.push(key), onMoreDamaged });
    return [damaged, more];
  };
  // The step to format 6 finds it, too.
  expect(await run()).toEqual([[`${prefix}:study:main:1.2.3`], 0]);
  for (let index = 0; index < 150; index += 1) {
    await redis.set(`${prefix}:study:main:o-${index}`, 'no JSON');
    await redis.zadd(`${prefix}:index:studies`, 1, `main o-${index}`);
  }
  const [damaged, more] = await run();
  expect([new Set(damaged).size, damaged.length, more]).toEqual([100, 100, 1]);
});
