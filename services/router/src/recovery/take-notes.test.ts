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
async function route(orthancStudyId: string): Promise<void> {
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
    lastUpdate: undefined,
  };
  const delivery = { ...study, target: 'a', priority: 'normal', deliveryId: deliveryId({ ...identity, target: 'a' }) };
  await pipeline.records.routed(study, [delivery as unknown as DeliveryData]);
}

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
