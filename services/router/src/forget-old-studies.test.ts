import { deliveryId, parseConfig, studyTaskId, type Config, type DeliveryData } from '@dicom-dispatch/core';
import type { StudyRecord } from '@dicom-dispatch/state/records';
import {
  startHttpServer,
  startOrthanc,
  startRedis,
  type OrthancServer,
  type RedisServer,
} from '@dicom-dispatch/harness';
import { openPipeline, type PipelineContext } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { makeStudy } from '@dicom-dispatch/samples';
import { openSource, type OrthancClient } from '@dicom-dispatch/sources';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { LeaseLost } from './lease-lost.ts';
import { forgetOldStudies, type ForgetResult, type ForgetDependencies } from './forget-old-studies.ts';

const day = 86_400_000;
const start = Date.now();
const keepMs = 100 * day;
const log = createLogger('test', { level: 'error', format: 'json' });

let orthancServer: OrthancServer;
let server: RedisServer;
let redis: Redis;
let config: Config;
let orthanc: OrthancClient;
let operations: PipelineContext;
const fence = { lockKey: '{dicom-dispatch}:lease:main', token: 'ours' };

beforeAll(async () => {
  [orthancServer, server] = await Promise.all([startOrthanc(), startRedis({ appendonly: false })]);
  redis = connectRedis(server.url, 'test', log);
  const raw = { sources: { main: { url: orthancServer.url } }, targets: { a: { type: 'dummy' } } };
  const parsed = parseConfig(raw, Object.values(targetSchemas) as never);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  config = parsed.config;
  operations = openPipeline(config, redis);
  orthanc = await openSource(config.sources['main'] as never);
});
beforeEach(async () => {
  await redis.flushall();
  await redis.set(fence.lockKey, fence.token);
});
afterAll(async () => {
  await orthanc?.close();
  await operations?.close();
  redis?.disconnect();
  await Promise.all([orthancServer?.stop(), server?.stop()]);
});

/** A study that was routed and delivered now; its instances are in no source. */
async function route(studyInstanceUid: string, orthancStudyId: string, routedAt = start): Promise<void> {
  const identity = { source: 'main', orthancStudyId, contentHash: 'h' };
  const study: StudyRecord = {
    ...identity,
    epoch: '1',
    studyInstanceUid,
    instanceCount: 1,
    modalities: ['CT'],
    rules: ['all'],
    targets: ['a'],
    studyTaskId: studyTaskId(identity),
    routedAt,
    lastUpdate: undefined,
  };
  const id = deliveryId({ ...identity, target: 'a' });
  await operations.records.routed(study, [
    { ...study, target: 'a', priority: 'normal', deliveryId: id } as unknown as DeliveryData,
  ]);
  await operations.records.update(id, { state: 'delivered' });
}

async function upload(seed: string): Promise<{ uid: string; id: string }> {
  const study = makeStudy({ seed, rows: 16, columns: 16, series: 1, instancesPerSeries: 1 });
  let id = '';
  for (const { bytes } of study) id = (await orthancServer.upload(bytes)).ParentStudy;
  return { uid: study.studyInstanceUid, id };
}

const noId = '00000000-00000000-00000000-00000000-00000000';

function run(days: number, more: Partial<ForgetDependencies> = {}): Promise<ForgetResult> {
  return forgetOldStudies({
    source: 'main',
    keepMs,
    orthanc,
    operations,
    fence,
    pauseMs: 0,
    now: () => start + days * day,
    forgotten: () => {},
    log,
    signal: new AbortController().signal,
    ...more,
  });
}

test('a study is forgotten when it is old, and its source has lacked it for a week', async () => {
  const there = await upload('there');
  const leaves = await upload('leaves');
  for (const { uid, id } of [there, leaves]) await route(uid, id);
  await route('1.2.3.4', noId);
  const seen: number[] = [];
  const forgotten = (count: number): void => void seen.push(count);

  expect(await run(99)).toMatchObject({ studies: 0, forgotten: 0 });
  expect(await run(101)).toMatchObject({ studies: 3, forgotten: 0, inSource: 2 });
  expect(await run(107)).toMatchObject({ studies: 3, forgotten: 0 });
  await orthancServer.send('DELETE', `/studies/${leaves.id}`);
  expect(await run(108.5, { forgotten })).toMatchObject({ studies: 3, forgotten: 1, deliveries: 1, inSource: 1 });
  expect(await run(115)).toMatchObject({ studies: 2, forgotten: 0 });
  expect(await run(116, { forgotten })).toMatchObject({ studies: 2, forgotten: 1, inSource: 1 });
  expect(seen).toEqual([1, 1]);

  expect(await operations.records.studyCount()).toBe(1);
  expect((await operations.records.counts()).delivered).toBe(1);
  expect(await operations.records.study({ source: 'main', orthancStudyId: there.id })).toBeDefined();
  expect(await redis.zcard(operations.keys.left('main'))).toBe(0);
});

test('a study that was missing for some time, and has returned, is counted again', async () => {
  const first = await upload('returns');
  await route(first.uid, first.id);
  await orthancServer.send('DELETE', `/studies/${first.id}`);
  await run(101);
  await upload('returns');
  expect(await run(105)).toMatchObject({ inSource: 1 });
  await orthancServer.send('DELETE', `/studies/${first.id}`);
  expect(await run(110)).toMatchObject({ studies: 1, forgotten: 0 });
  expect(await run(118)).toMatchObject({ studies: 1, forgotten: 1 });
});

test('a study with a damaged record is kept, and the others are forgotten', async () => {
  const idOf = (index: number): string => `${noId.slice(0, -1)}${index}`;
  for (const index of [1, 2, 3]) await route(`1.2.3.${index}`, idOf(index));
  const key = redisKeys(config.redis.prefix).study('main', idOf(2));
  await redis.set(key, 'no JSON');
  expect(await run(101)).toMatchObject({ studies: 3, forgotten: 0 });
  expect(await run(109)).toMatchObject({ studies: 3, forgotten: 2 });
  expect(await run(110)).toMatchObject({ studies: 1, forgotten: 0 });
  expect(await redis.get(key)).toBe('no JSON');
});

test('a source that cannot be queried loses no records', async () => {
  await route('1.2.3.5', noId);
  await run(101);
  const away = await openSource({ ...config.sources['main'], url: 'http://127.0.0.1:1', timeout: 500 } as never);
  await expect(run(120, { orthanc: away })).rejects.toMatchObject({ code: 'source-unreachable' });
  await away.close();
  // Another server responds at its address.
  await using other = await startHttpServer((_request, response) => void response.writeHead(404).end());
  const wrong = await openSource({ ...config.sources['main'], url: other.url } as never);
  await expect(run(120, { orthanc: wrong })).rejects.toMatchObject({ code: 'source-error' });
  await wrong.close();
  expect(await operations.records.studyCount()).toBe(1);
});

test('a lost lease ends it; the next router continues there, with the same result', async () => {
  const there = await upload('stays');
  // The oldest: it is checked first.
  await route(there.uid, there.id, start - 1);
  for (let index = 0; index < 250; index += 1)
    await route(`2.999.${index}`, noId.replace(/^0{8}/, `fffff${100 + index}`));
  expect(await run(101)).toMatchObject({ studies: 251, forgotten: 0, inSource: 1 });
  let gone = 0;
  const forgotten = (): void => {
    gone += 1;
    if (gone === 120) redis.set(fence.lockKey, 'of another').catch(() => {});
  };
  await expect(run(120, { forgotten })).rejects.toBeInstanceOf(LeaseLost);
  expect(gone).toBeLessThan(125);
  expect(await operations.records.studyCount()).toBe(251 - gone);
  const place = Number(await redis.hget(operations.keys.forgetting('main'), 'place'));
  expect(place).toBe(1);

  const next = await run(120, { fence: { ...fence, token: 'of another' } });
  expect(next.forgotten).toBe(250 - gone);
  expect(await operations.records.studyCount()).toBe(1);
  expect((await operations.records.counts('a')).delivered).toBe(1);
});
