import { parseConfig } from '@dicom-dispatch/core';
import { startOrthanc, startRedis, type OrthancServer, type RedisServer } from '@dicom-dispatch/harness';
import { openPipeline, StudyEnqueuer, type PipelineContext } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { makeStudy } from '@dicom-dispatch/samples';
import { openSource, type OrthancClient } from '@dicom-dispatch/sources';
import { Batches } from '@dicom-dispatch/state/batches';
import type { FeedState } from '@dicom-dispatch/state/feed';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { routeBatches } from './route-batches.ts';

const log = createLogger('test', { level: 'silent', format: 'json' });
const gone = '00000000-00000000-00000000-00000000-00000000';
const id = 'b-1';
const order = { source: 'main', targets: ['a'], by: 'otto', epoch: 1 };
let orthancServer: OrthancServer;
let server: RedisServer;
let redis: Redis;
let pipeline: PipelineContext;
let enqueuer: StudyEnqueuer;
let orthanc: OrthancClient;
let batches: Batches;
let there: string;
let same: FeedState;

beforeAll(async () => {
  [orthancServer, server] = await Promise.all([startOrthanc(), startRedis({ appendonly: false })]);
  redis = connectRedis(server.url, 'test', log);
  const raw = { sources: { main: { url: orthancServer.url } }, targets: { a: { type: 'dummy' } } };
  const parsed = parseConfig(raw, Object.values(targetSchemas) as never);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  pipeline = openPipeline(parsed.config, redis);
  enqueuer = new StudyEnqueuer(parsed.config, redis, pipeline.records);
  orthanc = await openSource(parsed.config.sources['main'] as never);
  batches = new Batches(redis, parsed.config.redis.prefix);
  const [instance] = makeStudy({ seed: 'there', rows: 16, columns: 16, series: 1, instancesPerSeries: 1 });
  there = (await orthancServer.upload(instance!.bytes)).ParentStudy;
  const newest = (await orthanc.lastChange())!;
  const fingerprint = { seq: newest.Seq, id: newest.ID, date: newest.Date };
  same = { epoch: 1, seq: newest.Seq, fingerprint, since: '' };
});
beforeEach(async () => {
  await redis.flushall();
});
afterAll(async () => {
  await orthanc?.close();
  await enqueuer?.close();
  await pipeline?.close();
  redis?.disconnect();
  await Promise.all([orthancServer?.stop(), server?.stop()]);
});

/** Routes until the batches of a source are idle, or cannot continue. Each reading of the clock is a second later. */
async function route(feed: FeedState): Promise<string> {
  const stopping = new AbortController();
  let now = Date.now();
  const dependencies = {
    source: 'main',
    pipeline,
    enqueuer,
    orthanc,
    feed: () => feed,
    now: () => (now += 1_000),
    confirm: async () => {},
    well: () => void batches.open().then((open) => open.length === 0 && stopping.abort(new Error('done'))),
    log,
    signal: stopping.signal,
  };
  return routeBatches(dependencies).catch((error: unknown) => (stopping.signal.aborted ? 'done' : String(error)));
}

it('skips a study that has left a database that is surely the same', async () => {
  await batches.create(id, order, [gone, there]);
  expect(await route(same)).toBe('done');
  expect(await batches.read(id)).toMatchObject({ state: 'done', skipped: 1, routed: 1, failed: 0 });
});

const foreign = { id: gone, date: '20200101T000000' };
it.each<[string, Partial<FeedState>, string]>([
  ['has the feed of another one', { fingerprint: { ...foreign, seq: 1 } }, 'another database'],
  ['was another one when the batch was made', { epoch: 2 }, 'another database'],
  [
    'shows nothing that was seen',
    { fingerprint: { ...foreign, seq: 1e6, date: '20990101T000000' } },
    'its database may not be the one',
  ],
])('skips nothing where the database %s: other batches go on', async (_, other, words) => {
  await batches.create(id, order, [gone, there]);
  await batches.create('b-2', { ...order, epoch: 2 }, [there]);
  expect(await route({ ...same, ...other })).toContain(words);
  expect(await batches.read(id)).toMatchObject({ state: 'running', skipped: 0, routed: 0, failed: 0 });
  expect(await batches.next(id, Date.now())).toBe(gone);
  expect(await batches.read('b-2')).toMatchObject({ state: 'done', routed: 1 });
});
