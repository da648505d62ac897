import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { withoutJobs } from './forget-script.ts';
import { forgetStudy } from './forget-study.ts';
import { redisKeys } from '../keys/redis-keys.ts';
import type { StudyRecord } from './record-types.ts';
import { Records } from './records.ts';
import { hashesOfText, searchHashes, searchKeys, type SearchValues } from './search-hash.ts';

const prefix = '{search}';
const [key, former] = searchKeys(['a key of this installation', 'the key before']) as [never, never];
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

function study(index: number, values: SearchValues, more: Partial<StudyRecord> = {}): StudyRecord {
  return {
    source: 'main',
    epoch: '1',
    orthancStudyId: `o-${index}`,
    studyInstanceUid: `1.2.${index}`,
    contentHash: 'h',
    instanceCount: 1,
    modalities: ['CT'],
    rules: ['all'],
    targets: [],
    studyTaskId: `t-${index}`,
    routedAt: index,
    lastUpdate: '20260301T070000',
    search: searchHashes(key, values),
    ...more,
  };
}

async function find(text: string): Promise<string[]> {
  const found = await records.studiesOfHashes(hashesOfText([key, former], text), 100);
  return found.map(({ orthancStudyId }) => orthancStudyId).toSorted();
}

describe('a search by keyed hashes', () => {
  it('finds studies by complete accession number, Patient ID and series UID, ignoring case and padding', async () => {
    await records.routed(
      study(1, { accessionNumber: 'a4711 ', patientId: 'PAT-1', seriesInstanceUids: ['1.2.1.5'] }),
      [],
    );
    await records.routed(study(2, { accessionNumber: '4712', patientId: 'pat-1' }), []);
    expect(await find('A4711')).toEqual(['o-1']);
    expect(await find('pat-1 ')).toEqual(['o-1', 'o-2']);
    expect(await find('1.2.1.5')).toEqual(['o-1']);
    for (const text of ['471', 'A471', '', '*', 'PAT']) expect(await find(text), text).toEqual([]);
  });

  it('leaves nothing in Redis that a number could be tried out with', async () => {
    await records.routed(study(1, { accessionNumber: 'A4711', patientId: 'PAT-1' }), []);
    const [other] = searchKeys(['another key']) as [never];
    const texts = await Promise.all([
      redis.get(redisKeys(prefix).study('main', 'o-1')),
      redis
        .keys('*')
        .then((names) => Promise.all(names.filter((name) => name.includes('study-')).map((name) => redis.dump(name)))),
    ]);
    const kept = JSON.stringify(texts);
    expect(kept).not.toMatch(/4711|PAT-1/i);
    for (const hash of searchHashes(other, { accessionNumber: 'A4711' }).hashes) expect(kept).not.toContain(hash);
    for (const hash of searchHashes(key, { accessionNumber: 'A4711' }).hashes) expect(kept).toContain(hash);
    expect(await redis.keys(`${prefix}:index:study-hashes:*`)).toHaveLength(2);
  });

  it('uses the values of the last routing, and the key of each record', async () => {
    await records.routed(study(1, { accessionNumber: 'WRONG' }), []);
    await records.routed(study(1, { accessionNumber: 'RIGHT' }), []);
    expect([await find('WRONG'), await find('RIGHT')]).toEqual([[], ['o-1']]);
    const old = study(2, {}, { search: searchHashes(former, { accessionNumber: 'OLD' }) });
    await records.routed(old, []);
    expect(await find('OLD')).toEqual(['o-2']);
    await records.makeSearchable(old, searchHashes(key, { accessionNumber: 'OLD' }));
    expect(await find('OLD')).toEqual(['o-2']);
    expect(await redis.keys(`${prefix}:index:study-hashes:*`)).toHaveLength(2);
    expect((await records.study(old))?.lastUpdate).toBe(old.lastUpdate);
  });

  it('forgets the hashes with the study', async () => {
    await records.routed(study(1, { accessionNumber: 'A4711' }), []);
    const keys = { choices: 'c', held: 'h', waits: 'w', left: 'l' };
    const terms = { before: 1_000, sourceOfTarget: {}, jobs: withoutJobs, keys };
    const { answer } = await forgetStudy(redis, prefix, { source: 'main', orthancStudyId: 'o-1' }, terms);
    expect(answer).toBe('forgotten');
    expect(await redis.keys('*')).toEqual([]);
  });
});
