import { Redis } from 'ioredis';
import { startOrthanc, startRedis, type OrthancServer, type RedisServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { IntermediateCache } from '../intermediate/intermediate-cache.ts';
import { configOf, testSecret } from '../intermediate/testing.ts';
import type { DicomLevel, SeriesObject, StudyObject } from '../objects/dicom-object.ts';
import { createCachedSearcher, type Searcher } from './cached-searcher.ts';

type Query = Readonly<Record<string, string>>;
interface Found {
  readonly ID: string;
  readonly MainDicomTags: Readonly<Record<string, string>>;
}

let server: RedisServer;
let redis: Redis;
let orthanc: OrthancServer;
let asked = 0;

beforeAll(async () => {
  [server, orthanc] = await Promise.all([startRedis({ appendonly: false }), startOrthanc()]);
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await Promise.all([server.stop(), orthanc.stop()]);
});

async function find(level: string, query: Query): Promise<Found[]> {
  asked += 1;
  return (await orthanc.send('POST', '/tools/find', { Level: level, Query: query, Expand: true })) as Found[];
}

async function seriesOf(studyInstanceUid: string, level: DicomLevel): Promise<SeriesObject[]> {
  const series: SeriesObject[] = [];
  for (const found of await find('Series', { StudyInstanceUID: studyInstanceUid })) {
    const { SeriesInstanceUID = '', Modality } = found.MainDicomTags;
    const alone = { seriesInstanceUid: SeriesInstanceUID, attributes: { Modality } };
    if (level === 'series') {
      series.push(alone);
      continue;
    }
    const instances = await find('Instance', { SeriesInstanceUID });
    series.push({
      ...alone,
      instances: instances.map(({ MainDicomTags: { SOPInstanceUID = '', InstanceNumber } }) => ({
        sopInstanceUid: SOPInstanceUID,
        attributes: { InstanceNumber },
      })),
    });
  }
  return series;
}

const searcher: Searcher<Query> = {
  async search(query) {
    const found = await find('Study', query);
    return found.map(({ MainDicomTags: { StudyInstanceUID = '', ...attributes } }) => ({
      studyInstanceUid: StudyInstanceUID,
      attributes,
    }));
  },
  async findStudyById(studyInstanceUid, level): Promise<StudyObject | undefined> {
    const [study] = await this.search({ StudyInstanceUID: studyInstanceUid });
    if (!study || level === 'study') return study;
    return { ...study, series: await seriesOf(studyInstanceUid, level) };
  },
};

test('a query is not repeated to Orthanc until a caller needs the current state', async () => {
  const study = makeStudy({ modality: 'CT', series: 2, instancesPerSeries: 3 });
  const uploaded = [];
  for (const instance of study) uploaded.push(await orthanc.upload(instance.bytes));
  const cache = await IntermediateCache.open(redis, configOf({ secret: testSecret }), { timeoutMs: 30_000 });
  const cached = createCachedSearcher(searcher, cache, 'main');
  const uid = study.studyInstanceUid;

  const answer = await cached.search({ StudyInstanceUID: uid });
  const whole = await cached.findStudyById(uid, 'instance');
  expect(whole?.series?.flatMap((series) => series.instances)).toHaveLength(6);
  const before = asked;
  expect(await cached.search({ StudyInstanceUID: uid })).toEqual(answer);
  expect(await cached.findStudyById(uid, 'instance')).toEqual(whole);
  expect((await cached.findStudyById(uid, 'series'))?.series?.[0]?.instances).toBeUndefined();
  expect(asked).toBe(before);

  await orthanc.send('DELETE', `/studies/${uploaded[0]!.ParentStudy}`);
  expect(await cached.findStudyById(uid, 'instance')).toEqual(whole);
  expect(await cached.findStudyById(uid, 'instance', { fresh: true })).toBeUndefined();
  expect(await cached.search({ StudyInstanceUID: uid })).toEqual([]);
});
