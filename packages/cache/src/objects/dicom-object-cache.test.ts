import { Redis } from 'ioredis';
import { startRedis, waitFor, type RedisServer } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { IntermediateCache } from '../intermediate/intermediate-cache.ts';
import { configOf, testSecret } from '../intermediate/testing.ts';
import { DicomObjectCache } from './dicom-object-cache.ts';
import type { StudyObject } from './dicom-object.ts';

let server: RedisServer;
let redis: Redis;
let cache: IntermediateCache;
let objects: DicomObjectCache;

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
  objects = new DicomObjectCache(cache, 'main');
});

const instances = (count: number, from = 0) =>
  Array.from({ length: count }, (_, number) => ({
    sopInstanceUid: `1.1.1.${from + number}`,
    attributes: { InstanceNumber: `${from + number}` },
  }));
const whole: StudyObject = {
  studyInstanceUid: '1',
  attributes: { StudyDate: '20260101', StudyDescription: 'CT' },
  series: [
    { seriesInstanceUid: '1.1', attributes: { Modality: 'CT' }, instances: instances(3) },
    { seriesInstanceUid: '1.2', attributes: { Modality: 'SR' }, instances: instances(1, 9) },
  ],
};

test('a study is returned with its children, down to the available level', async () => {
  expect(await objects.get({ studyInstanceUid: '1' })).toEqual({ state: 'absent' });
  await objects.add(whole, 'instance');
  expect(await objects.get({ studyInstanceUid: '1' })).toEqual({
    state: 'found',
    level: 'study',
    object: whole,
    cachedLevel: 'instance',
  });
  expect(await objects.get({ studyInstanceUid: '1', seriesInstanceUid: '1.2' })).toMatchObject({
    level: 'series',
    cachedLevel: 'instance',
    object: { instances: [{ sopInstanceUid: '1.1.1.9' }] },
  });
  expect(
    await objects.get({ studyInstanceUid: '1', seriesInstanceUid: '1.1', sopInstanceUid: '1.1.1.2' }),
  ).toMatchObject({ level: 'instance', object: { attributes: { InstanceNumber: '2' } } });
  expect(await objects.get({ studyInstanceUid: '1', seriesInstanceUid: '1.1', sopInstanceUid: '1.1.1.9' })).toEqual({
    state: 'absent',
  });
  expect(await new DicomObjectCache(cache, 'other').get({ studyInstanceUid: '1' })).toEqual({ state: 'absent' });
});

test('some children are not all children', async () => {
  await objects.add(whole);
  expect(await objects.get({ studyInstanceUid: '1' })).toMatchObject({ cachedLevel: 'study' });
  await objects.add(whole, 'series');
  const found = await objects.get({ studyInstanceUid: '1' });
  expect(found).toMatchObject({ cachedLevel: 'series', object: { series: [{ seriesInstanceUid: '1.1' }, {}] } });
  expect(JSON.stringify(found)).not.toContain('InstanceNumber');
  await objects.add({ ...whole, series: [{ seriesInstanceUid: '1.3', attributes: {} }] });
  expect(await objects.get({ studyInstanceUid: '1' })).toMatchObject({ cachedLevel: 'study' });
});

test('a missing branch removes the level', async () => {
  await objects.add(whole, 'instance');
  await cache.invalidate('study', 'main/1/1.2');
  expect(await objects.get({ studyInstanceUid: '1' })).toMatchObject({ cachedLevel: 'study' });
  await objects.add(whole, 'instance');
  expect(await objects.remove({ studyInstanceUid: '1', seriesInstanceUid: '1.2' })).toBe(true);
  expect(await objects.get({ studyInstanceUid: '1' })).toMatchObject({
    object: { series: [{ seriesInstanceUid: '1.1' }] },
  });
  expect(await objects.remove({ studyInstanceUid: '1' })).toBe(true);
  expect(await cache.stats()).toMatchObject({ entries: 0 });
});

test('an update changes what is there, and makes nothing of what is not', async () => {
  await objects.add(whole, 'instance');
  const address = { studyInstanceUid: '1', seriesInstanceUid: '1.1', sopInstanceUid: '1.1.1.1' } as const;
  expect(await objects.update(address, { InstanceNumber: '77' })).toBe(true);
  expect(await objects.update({ studyInstanceUid: '1' }, { StudyDate: '20260202' })).toBe(true);
  expect(await objects.get(address)).toMatchObject({ object: { attributes: { InstanceNumber: '77' } } });
  expect(await objects.get({ studyInstanceUid: '1' })).toMatchObject({
    object: { attributes: { StudyDate: '20260202' } },
  });
  expect(await objects.update({ studyInstanceUid: '2' }, {})).toBe(false);
  expect(await objects.get({ studyInstanceUid: '2' })).toEqual({ state: 'absent' });
});

test('updates at the same time are all kept', async () => {
  await objects.add(
    { ...whole, series: [{ seriesInstanceUid: '1.1', attributes: {}, instances: instances(6) }] },
    'instance',
  );
  const updated = await Promise.all(
    instances(6).map(({ sopInstanceUid }) =>
      objects.update({ studyInstanceUid: '1', seriesInstanceUid: '1.1', sopInstanceUid }, { by: sopInstanceUid }),
    ),
  );
  expect(updated).toEqual(Array.from({ length: 6 }, () => true));
  expect(await objects.get({ studyInstanceUid: '1', seriesInstanceUid: '1.1' })).toMatchObject({
    object: { instances: instances(6).map(({ sopInstanceUid }) => ({ attributes: { by: sopInstanceUid } })) },
  });
});

test('an expired tree is reported as expired, then pruned', async () => {
  cache = await IntermediateCache.open(redis, configOf({ secret: testSecret, types: { study: { maxAge: '60ms' } } }));
  objects = new DicomObjectCache(cache, 'main');
  await objects.add(whole, 'instance');
  const states = new Set<string>();
  await waitFor(async () => {
    states.add((await objects.get({ studyInstanceUid: '1' })).state);
    return states.has('absent');
  });
  expect(states).toContain('expired');
  await objects.prune();
  expect(await cache.stats()).toMatchObject({ entries: 0, bytes: 0 });
});

test('data of another version count as absent, and are overwritten', async () => {
  await cache.put('study', 'main/1', Buffer.from('{"old":true}'));
  expect(await objects.get({ studyInstanceUid: '1' })).toEqual({ state: 'absent' });
  await objects.add(whole, 'instance');
  expect(await objects.get({ studyInstanceUid: '1' })).toMatchObject({ state: 'found' });
});
