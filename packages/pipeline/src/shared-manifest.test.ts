import { IntermediateCache } from '@dicom-dispatch/cache';
import { cacheConfig, contentHash, type ManifestInstance } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { forgetManifest, keepManifest, shareManifest, type StudyMoment } from './shared-manifest.ts';

let server: RedisServer;
let redis: Redis;
let cache: IntermediateCache;
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  cache = await IntermediateCache.open(redis, cacheConfig.parse({}), { timeoutMs: 30_000 });
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
});

const instance = (sopInstanceUid: string, more: Partial<ManifestInstance> = {}): ManifestInstance =>
  ({
    sopInstanceUid,
    seriesInstanceUid: '1.2.3',
    studyInstanceUid: '1.2',
    sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
    transferSyntaxUid: '1.2.840.10008.1.2.1',
    sizeBytes: 10,
    sourceId: `id-${sopInstanceUid}`,
    version: 'v1',
    ...more,
  }) as ManifestInstance;
const whole = [instance('1.2.3.1'), instance('1.2.3.2')];

const momentOf = (instances: readonly ManifestInstance[], more: Partial<StudyMoment> = {}): StudyMoment => ({
  source: 'main',
  orthancStudyId: 'o-1',
  lastUpdate: '20260101T000000',
  contentHash: contentHash(instances),
  ...more,
});
const moment = momentOf(whole);

/** What a delivery gets, and how often the source was read for it. */
async function share(from: StudyMoment, inSource: readonly ManifestInstance[] = whole) {
  let reads = 0;
  const read = async (): Promise<readonly ManifestInstance[]> => {
    reads += 1;
    return inSource;
  };
  return { ...(await shareManifest(cache, from, read)), reads };
}

it('the source is read once for all deliveries of the same content', async () => {
  expect(await share(moment)).toEqual({ instances: whole, isShared: false, reads: 1 });
  expect(await share(moment)).toEqual({ instances: whole, isShared: true, reads: 0 });
});

it('a manifest that the router has read is not read again', async () => {
  await keepManifest(cache, moment, whole);
  expect(await share(moment)).toEqual({ instances: whole, isShared: true, reads: 0 });
});

it('it is read again after it was forgotten', async () => {
  await keepManifest(cache, moment, whole);
  await forgetManifest(cache, momentOf(whole, { lastUpdate: '20260102T000000' }));
  expect((await share(moment)).reads).toBe(0);
  await forgetManifest(cache, moment);
  expect((await share(moment)).reads).toBe(1);
});

it.each<[string, Partial<StudyMoment>]>([
  ['another source', { source: 'other' }],
  ['another study', { orthancStudyId: 'o-2' }],
  ['a later change of the study', { lastUpdate: '20260101T000001' }],
])('the manifest of %s is not used', async (_what, more) => {
  await keepManifest(cache, moment, whole);
  expect(await share({ ...moment, ...more })).toEqual({ instances: whole, isShared: false, reads: 1 });
});

it('a study that has changed since it was routed is returned as it is now, and not kept', async () => {
  const grown = [...whole, instance('1.2.3.3')];
  expect(await share(moment, grown)).toEqual({ instances: grown, isShared: false, reads: 1 });
  expect(await share(moment, whole)).toEqual({ instances: whole, isShared: false, reads: 1 });
  expect((await share(moment)).reads).toBe(0);
});

it('other content than that of the delivery is neither kept nor returned from the cache', async () => {
  await keepManifest(cache, moment, whole.slice(1));
  expect(await share(moment)).toEqual({ instances: whole, isShared: false, reads: 1 });
});

it.each<[string, Partial<Record<keyof ManifestInstance, unknown>>]>([
  ['SOP Instance UID', { sopInstanceUid: 1 }],
  ['version', { version: 7 }],
  ['id in the source', { sourceId: undefined }],
  ['size', { sizeBytes: '10' }],
  ['SOP class', { sopClassUid: undefined }],
  ['transfer syntax', { transferSyntaxUid: undefined }],
])('a manifest in which an instance has no %s is not kept: the next attempt reads it again', async (_name, without) => {
  const some = [whole[0]!, { ...whole[1], ...without } as unknown as ManifestInstance];
  await keepManifest(cache, momentOf(some), some);
  const first = await share(momentOf(some), some);
  expect(first).toEqual({ instances: some, isShared: false, reads: 1 });
  expect((await share(momentOf(some), some)).reads).toBe(1);
});

it('what another version may have written counts as absent', async () => {
  const key = `main/o-1/${moment.contentHash}/${moment.lastUpdate}`;
  await cache.put('manifest', key, Buffer.from('{"instances":[]}'));
  expect(await share(moment)).toEqual({ instances: whole, isShared: false, reads: 1 });
});

it('an error of the source is passed on, and the next attempt reads again', async () => {
  await expect(shareManifest(cache, moment, () => Promise.reject(new Error('away')))).rejects.toThrow('away');
  expect(await share(moment)).toEqual({ instances: whole, isShared: false, reads: 1 });
});

it('a delivery that is cancelled does not wait for another one that reads the manifest', async () => {
  const { promise, resolve } = Promise.withResolvers<readonly ManifestInstance[]>();
  let isReading = () => {};
  const begun = new Promise<void>((done) => (isReading = done));
  const other = shareManifest(cache, moment, async () => {
    isReading();
    return promise;
  });
  await begun;
  const cancelled = shareManifest(cache, moment, async () => whole, AbortSignal.abort());
  await expect(cancelled).rejects.toThrow('aborted');
  resolve(whole);
  expect(await other).toEqual({ instances: whole, isShared: false });
});
