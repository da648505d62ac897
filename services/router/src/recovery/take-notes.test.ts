import { deliveryId, parseConfig, studyTaskId, type DeliveryData } from '@dicom-dispatch/core';
import { startRedis, waitFor, type RedisServer } from '@dicom-dispatch/harness';
import { openPipeline, type PipelineContext } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger, RedisLost, RedisWatch, type Redis } from '@dicom-dispatch/runtime';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { writeFeedState } from '@dicom-dispatch/state/feed';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { unfinished } from './notes.ts';
import { NoteTaker } from './take-notes.ts';

const log = createLogger('test', { level: 'silent', format: 'json' });
const raw = { sources: { main: { url: 'http://127.0.0.1:1' } }, targets: { a: { type: 'dummy' } } };
const parsed = parseConfig(raw, Object.values(targetSchemas) as never);
if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
const { config } = parsed;
const { prefix } = config.redis;
const keys = redisKeys(prefix);

let server: RedisServer;
let redis: Redis;
let pipeline: PipelineContext;
let watch: RedisWatch;
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = connectRedis(server.url, 'test', log);
  pipeline = openPipeline(config, redis);
  watch = new RedisWatch({ redis, prefix, services: ['router'], log });
  await watch.first;
});
afterAll(async () => {
  await watch.stop();
  await pipeline.close();
  redis.disconnect();
  await server.stop();
});

/** A study that was routed to a target, and waits for it. */
async function route(orthancStudyId: string, lastUpdate?: string): Promise<void> {
  const identity = { source: 'main', orthancStudyId, contentHash: 'h' };
  const study = {
    ...identity,
    epoch: '1',
    studyInstanceUid: '1.2.3',
    instanceCount: 1,
    modalities: ['CT'],
    rules: ['all'],
    targets: ['a'],
    studyTaskId: studyTaskId(identity),
    routedAt: Date.now(),
    lastUpdate,
  };
  const delivery = { ...study, target: 'a', priority: 'normal', deliveryId: deliveryId({ ...identity, target: 'a' }) };
  await pipeline.records.routed(study, [delivery as unknown as DeliveryData]);
}

test('a damaged record does not prevent notes: its study keeps its former note, or gets one from its deliveries', async () => {
  await writeFeedState(redis, prefix, 'main', { epoch: 1, seq: 10, fingerprint: undefined, since: '' });
  const lastUpdate = '20261201T120000';
  for (const id of ['o-whole', 'o-damaged', 'o-other']) await route(id, lastUpdate);
  const studies = async (taker: NoteTaker) => (await taker.take()).sources.get('main')?.studies;
  const taker = new NoteTaker(pipeline, watch);
  const before = (await studies(taker))?.get('o-damaged');
  expect(before).toMatchObject({ lastUpdate, deliveries: [{ state: 'waiting' }] });
  await redis.set(keys.study('main', 'o-damaged'), '["1","1.2');
  const own = deliveryId({ source: 'main', orthancStudyId: 'o-other', contentHash: 'h', target: 'a' });
  await redis.hset(keys.delivery(own), 'data', 'no JSON');
  const noted = await studies(taker);
  expect(noted?.get('o-damaged')).toEqual(before);
  expect(noted?.get('o-other')).toMatchObject({ lastUpdate, deliveries: [{ state: 'waiting' }] });
  // A router that has no former note.
  const fresh = await studies(new NoteTaker(pipeline, watch));
  expect(fresh?.get('o-whole')).toMatchObject({ lastUpdate });
  expect(fresh?.get('o-damaged')).toMatchObject({ lastUpdate: undefined, deliveries: [{ state: 'waiting' }] });
});

test('a router that starts with damaged records keeps the notes of the one before, of the same data', async () => {
  await writeFeedState(redis, prefix, 'main', { epoch: 1, seq: 10, fingerprint: undefined, since: '' });
  const lastUpdate = '20261201T130000';
  const ids = ['o-sent', 'o-torn', 'o-well'];
  for (const id of ids) {
    await route(id, lastUpdate);
    const own = deliveryId({ source: 'main', orthancStudyId: id, contentHash: 'h', target: 'a' });
    await pipeline.records.update(own, { state: 'delivered' });
  }
  const before = await new NoteTaker(pipeline, watch).take();
  await redis.set(keys.study('main', 'o-sent'), '["1","1.2');
  const torn = deliveryId({ source: 'main', orthancStudyId: 'o-torn', contentHash: 'h', target: 'a' });
  await redis.hset(keys.delivery(torn), 'data', 'no JSON');
  const noted = async (former: typeof before) =>
    (await new NoteTaker(pipeline, watch, former).take()).sources.get('main')?.studies;
  const after = await noted(before);
  for (const id of ids) {
    expect(after?.get(id), id).toMatchObject({ lastUpdate, deliveries: [{ state: 'delivered' }] });
  }
  // Of another data set nothing is known.
  const other = await noted({ ...before, generation: { ...before.generation, id: 'another' } });
  expect(other?.get('o-sent')).toBeUndefined();
  expect(other?.get('o-torn')).toBeUndefined();
  expect(other?.get('o-well')).toMatchObject({ lastUpdate });
});

test('notes hold nothing of which a part was read before Redis was set back, and a part after it', async () => {
  const feed = { epoch: 1, seq: 10, fingerprint: undefined, since: '' };
  await writeFeedState(redis, prefix, 'main', feed);
  await route('o-1');
  const taker = new NoteTaker(pipeline, watch);
  const open = (): number | undefined => {
    const study = taker.notes?.sources.get('main')?.studies.get('o-1');
    return study && unfinished(study).length;
  };

  // Simulates reading the deliveries over a new connection, from a Redis that restarted with a copy of 5 s ago.
  const reads = vi.spyOn(pipeline.records, 'deliveriesOf');
  const reconnect = async (): Promise<[]> => {
    redis.disconnect(true);
    await waitFor(() => redis.status === 'ready', { message: 'a new connection' });
    return [];
  };
  reads.mockImplementationOnce(reconnect);
  await expect(taker.take()).rejects.toThrow('connection to Redis was lost');
  expect(open()).toBeUndefined();
  await taker.take();
  expect(open()).toBe(1);

  // By the same connection, as through a proxy.
  reads.mockImplementationOnce(async () => {
    await redis.hset(keys.generation, 'count', 0);
    return [];
  });
  await expect(taker.take()).rejects.toThrow(RedisLost);
  expect(open()).toBe(1);
});
