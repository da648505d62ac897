import { Redis } from 'ioredis';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { IntermediateCache } from '../intermediate/intermediate-cache.ts';
import { configOf, testSecret } from '../intermediate/testing.ts';
import { trimStudy, type DicomLevel, type StudyObject } from '../objects/dicom-object.ts';
import { createCachedSearcher, type Searcher } from './cached-searcher.ts';

interface Query {
  readonly modality?: string;
  readonly patientId?: string | undefined;
}

let server: RedisServer;
let redis: Redis;
let cache: IntermediateCache;
let archive: Map<string, StudyObject>;
let asked: string[];

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  cache = await IntermediateCache.open(redis, configOf({ secret: testSecret }), { timeoutMs: 30_000 });
  asked = [];
  archive = new Map(['1', '2'].map((uid) => [uid, studyOf(uid)]));
});

function studyOf(studyInstanceUid: string): StudyObject {
  const series = ['CT', 'SR'].map((Modality) => ({
    seriesInstanceUid: `${studyInstanceUid}.${Modality}`,
    attributes: { Modality },
    instances: [{ sopInstanceUid: `${studyInstanceUid}.${Modality}.1`, attributes: { InstanceNumber: '1' } }],
  }));
  return { studyInstanceUid, attributes: { StudyDate: '20260101' }, series };
}

/** An in-memory archive: the tests are about the cache in front of it. */
const searcher: Searcher<Query> = {
  async search(query) {
    asked.push(JSON.stringify(query));
    return Array.from(archive.values(), (study) => {
      if (!query.modality) return trimStudy(study, 'study');
      const { series = [], ...alone } = trimStudy(study, 'series');
      return { ...alone, series: series.filter((one) => one.attributes['Modality'] === query.modality) };
    });
  },
  async findStudyById(uid, level: DicomLevel) {
    asked.push(`${uid} ${level}`);
    const study = archive.get(uid);
    return study && trimStudy(study, level);
  },
};

const cached = () => createCachedSearcher(searcher, cache, 'archive');

test('an equal query is answered from the cache, independent of the order of its keys', async () => {
  const first = await cached().search({ modality: 'CT', patientId: '7' });
  const again = await cached().search({ patientId: '7', modality: 'CT' });
  expect(again).toEqual(first);
  expect(first[0]?.series).toHaveLength(1);
  expect(asked).toHaveLength(1);
  await cached().search({ modality: 'CT' });
  await cached().search({ modality: 'CT', patientId: undefined });
  await createCachedSearcher(searcher, cache, 'another').search({ modality: 'CT' });
  expect(asked).toHaveLength(3);
});

test('a result is removed with any of its objects, and shows the current state of its objects', async () => {
  const search = cached();
  await search.search({ modality: 'SR' });
  await search.objects.update({ studyInstanceUid: '2' }, { StudyDate: '20260303' });
  const answer = await search.search({ modality: 'SR' });
  expect(answer[1]).toMatchObject({
    attributes: { StudyDate: '20260303' },
    series: [{ attributes: { Modality: 'SR' } }],
  });
  expect(asked).toHaveLength(1);
  await search.objects.remove({ studyInstanceUid: '1', seriesInstanceUid: '1.SR' });
  await search.search({ modality: 'SR' });
  expect(asked).toHaveLength(2);
});

test('an empty result is queried again', async () => {
  archive.clear();
  expect(await cached().search({})).toEqual([]);
  archive.set('3', studyOf('3'));
  expect(await cached().search({})).toHaveLength(1);
});

test('a study is answered from the tree when it reaches the level', async () => {
  const search = cached();
  expect(await search.findStudyById('1', 'series')).toEqual(trimStudy(studyOf('1'), 'series'));
  expect(await search.findStudyById('1', 'series')).toEqual(trimStudy(studyOf('1'), 'series'));
  expect(await search.findStudyById('1', 'study')).toEqual(trimStudy(studyOf('1'), 'study'));
  expect(asked).toEqual(['1 series']);
  expect(await search.findStudyById('1', 'instance')).toEqual(studyOf('1'));
  expect(await search.findStudyById('1', 'instance')).toEqual(studyOf('1'));
  expect(asked).toEqual(['1 series', '1 instance']);
  expect(await search.findStudyById('9', 'study')).toBeUndefined();
});

test('a query with some of the series does not represent the whole study', async () => {
  const search = cached();
  await search.search({ modality: 'CT' });
  expect((await search.findStudyById('1', 'series'))?.series).toHaveLength(2);
});

test('a fresh query returns the current state, and updates it for others', async () => {
  const search = cached();
  await search.findStudyById('1', 'series');
  archive.delete('1');
  expect(await search.findStudyById('1', 'series')).toBeDefined();
  expect(await search.findStudyById('1', 'series', { fresh: true })).toBeUndefined();
  expect(await search.findStudyById('1', 'series')).toBeUndefined();
});

test('no patient data is in a key, and a searcher that fails is heard', async () => {
  await cached().search({ patientId: 'DOE-1234' });
  for (const key of await redis.keys('*')) expect(key).not.toContain('DOE');
  expect((await redis.hkeys('{dicom-dispatch}:cache:catalog')).join(' ')).not.toContain('DOE');
  const failing = createCachedSearcher<Query>(
    { search: () => Promise.reject(new Error('archive away')), findStudyById: searcher.findStudyById },
    cache,
    'failing',
  );
  await expect(failing.search({})).rejects.toThrow('archive away');
});

test('a query for the state since a time gets no earlier result', async () => {
  const search = cached();
  await search.search({ modality: 'CT' });
  const since = await search.now();
  archive.delete('2');
  expect(await search.search({ modality: 'CT' })).toHaveLength(2);
  expect(await search.search({ modality: 'CT' }, { since: since! })).toHaveLength(1);
  expect(asked).toHaveLength(2);
  // The stored result was queried after `since`: it may be used, also if another process queried it.
  expect(await cached().search({ modality: 'CT' }, { since: since! })).toHaveLength(1);
  expect(asked).toHaveLength(2);
  await search.search({ modality: 'CT' }, { since: (await search.now())! });
  expect(asked).toHaveLength(3);
});
