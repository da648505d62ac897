import { IntermediateCache } from '@dicom-dispatch/cache';
import { cacheConfig, Secret, unreadTags } from '@dicom-dispatch/core';
import {
  startLyingProxy,
  startOrthanc,
  startRedis,
  type LyingProxy,
  type OrthancServer,
  type RedisServer,
} from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { openSource, readSnapshot, type OrthancClient } from '@dicom-dispatch/sources';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readFacts, type FactNames, type Facts, type StudyWithContent } from './read-facts.ts';

let server: OrthancServer;
let proxy: LyingProxy;
let orthanc: OrthancClient;
let redisServer: RedisServer;
let redis: Redis;
let cache: IntermediateCache;
let study: StudyWithContent;
/** Paths of requests to the source since the beginning of the test. */
let asked: string[] = [];
/** An instance whose file cannot be read. */
let unreadable: string | undefined;

beforeAll(async () => {
  [server, redisServer] = await Promise.all([startOrthanc(), startRedis({ appendonly: false })]);
  proxy = await startLyingProxy({
    url: server.url,
    liar: ({ path }) => {
      asked.push(path);
      return path.includes(`/instances/${unreadable}/`) ? { kind: 'status', status: 500 } : undefined;
    },
  });
  orthanc = await openSource({ url: proxy.url } as never);
  redis = new Redis(redisServer.url);
  // Tags of patients are only cached with a secret.
  cache = await IntermediateCache.open(redis, cacheConfig.parse({ secret: new Secret('k'.repeat(32)) }), {
    timeoutMs: 60_000,
  });
  let orthancStudyId = '';
  const made = makeStudy({ seed: 'facts', series: 2, instancesPerSeries: 2, rows: 16, columns: 16 });
  for (const { bytes } of made) ({ ParentStudy: orthancStudyId } = await server.upload(bytes));
  const { manifest } = await readSnapshot(orthanc, 'main', orthancStudyId);
  study = { source: 'main', orthancStudyId, studyInstanceUid: made.studyInstanceUid, manifest };
});
afterAll(async () => {
  await orthanc?.close();
  await proxy?.stop();
  redis?.disconnect();
  await Promise.all([server?.stop(), redisServer?.stop()]);
});
beforeEach(async () => {
  asked = [];
  unreadable = undefined;
  await redis.flushall();
});

const names = (more: Partial<FactNames> = {}): FactNames => ({ study: [], series: [], instance: [], ...more });
const read = (wanted: Partial<FactNames>, { of = study, cached = true } = {}): Promise<Facts> =>
  readFacts(orthanc, of, names(wanted), cached ? cache : undefined);
/** Whether the source was queried for it. */
async function isRead(wanted: Partial<FactNames>, of = study): Promise<boolean> {
  asked = [];
  await read(wanted, { of });
  return asked.length > 0;
}
const ids = (): string[] => study.manifest.map(({ sourceId }) => sourceId);
const all = { study: ['PatientAge'], series: ['KVP'], instance: ['SOPInstanceUID', 'KVP'] };

it.each([false, true])('tags of all levels are read from files (cached: %s)', async (cached) => {
  for (const _ of cached ? ['read', 'cached'] : ['read']) {
    const facts = await read(all, { cached });
    expect(facts.study).toEqual({ PatientAge: expect.stringMatching(/^\d{3}Y$/) });
    const series = [...new Set(study.manifest.map(({ seriesInstanceUid }) => seriesInstanceUid))];
    expect(new Map([...facts.series].toSorted())).toEqual(
      new Map(series.toSorted().map((uid) => [uid, { KVP: expect.stringMatching(/^\d+$/) }])),
    );
    expect(new Map([...facts.instances].toSorted())).toEqual(
      new Map(
        study.manifest
          .map(({ sourceId, sopInstanceUid }) => [
            sourceId,
            { SOPInstanceUID: sopInstanceUid, KVP: expect.stringMatching(/^\d+$/) },
          ])
          .toSorted() as never,
      ),
    );
  }
});

it('nothing is read for tags that the database of the source has', async () => {
  const facts = await read({ study: ['StudyDescription', 'PatientID'], series: ['Modality'] });
  expect(facts).toEqual({ study: {}, series: new Map(), instances: new Map() });
  expect(asked).toEqual([]);
});

it('only the levels that are wanted are read', async () => {
  expect(await read({ series: ['KVP'] })).toMatchObject({ study: {}, instances: new Map() });
  const facts = await read({ study: ['PatientAge'] });
  expect(facts.instances).toEqual(new Map());
  expect([...facts.series.values()]).toEqual([{}, {}]);
  expect((await read({ instance: ['KVP'] })).instances.size).toBe(4);
});

describe('a tree in the cache', () => {
  it('answers the same question, in any order and also if repeated', async () => {
    const wanted = { study: ['PatientAge', 'PatientWeight'], series: ['KVP', 'Exposure'], instance: ['KVP', 'Rows'] };
    expect(await isRead(wanted)).toBe(true);
    expect(await isRead(wanted)).toBe(false);
    const turned = {
      study: ['PatientWeight', 'PatientAge'],
      series: ['Exposure', 'KVP'],
      instance: ['Rows', 'KVP', 'Rows'],
    };
    expect(await isRead(turned)).toBe(false);
  });

  it.each<[string, Partial<FactNames>]>([
    ['another tag of the study', { ...all, study: ['PatientWeight'] }],
    ['another tag of the series', { ...all, series: ['Exposure'] }],
    ['another tag of the instances', { ...all, instance: ['Rows'] }],
    ['the same tags at another level', { study: ['KVP'], series: ['PatientAge'], instance: all.instance }],
  ])('does not answer a question for %s', async (_what, other) => {
    await read(all);
    expect(await isRead(other)).toBe(true);
  });

  it.each<[string, () => StudyWithContent]>([
    ['content', () => ({ ...study, manifest: study.manifest.slice(1) })],
    ['source', () => ({ ...study, source: 'other' })],
  ])('is not that of another %s', async (_what, other) => {
    await read(all);
    expect(await isRead(all, other())).toBe(true);
    expect(await isRead(all)).toBe(false);
  });
});

describe('an instance whose file cannot be read', () => {
  it.each([true, false])('is marked, and the others have their tags (cached: %s)', async (cached) => {
    unreadable = ids()[2];
    const { instances } = await read({ instance: ['KVP'] }, { cached });
    expect(instances.get(unreadable ?? '')).toBe(unreadTags);
    const others = ids().filter((id) => id !== unreadable);
    expect(others.map((id) => instances.get(id))).toEqual(others.map(() => ({ KVP: expect.any(String) })));
    expect(instances.size).toBe(4);
  });

  it('is read again by the next routing, together with the tags of the study', async () => {
    unreadable = ids()[3];
    const partly = await read(all);
    expect(Object.keys(partly.study)).toEqual(['PatientAge']);
    expect([...partly.series.values()]).toEqual([{ KVP: expect.any(String) }, { KVP: expect.any(String) }]);
    unreadable = undefined;
    const { instances } = await read(all);
    expect([...instances.values()].map((tags) => Object.keys(tags).length)).toEqual([2, 2, 2, 2]);
    // Now everything is known.
    expect(await isRead(all)).toBe(false);
  });
});

it('a source that does not respond is an error', async () => {
  const gone = { ...study, orthancStudyId: '00000000-00000000-00000000-00000000-00000000' };
  await expect(read({ study: ['PatientAge'] }, { of: gone })).rejects.toMatchObject({
    name: 'OrthancError',
    code: 'not-found',
  });
  const cancelled = AbortSignal.abort();
  await expect(readFacts(orthanc, study, names(all), cache, cancelled)).rejects.toMatchObject({ code: 'cancelled' });
});
