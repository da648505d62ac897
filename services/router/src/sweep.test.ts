import { DispatchError, sourceConfig, studyTaskId } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import type { OrthancClient, Study } from '@dicom-dispatch/orthanc';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import type { FeedState } from '@dicom-dispatch/state/feed';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { Records } from '@dicom-dispatch/state/records';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { SettledStudies } from './recovery/settled.ts';
import { sweepSource } from './sweep.ts';

const prefix = '{dicom-dispatch}';
const keys = redisKeys(prefix);
const log = createLogger('test', { level: 'silent', format: 'json' });
const nowMs = Date.UTC(2026, 10, 29, 13);
const since = '20261129T110000';
const date = '20261129T120000';
let server: RedisServer;
let redis: Redis;
let records: Records;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = connectRedis(server.url, 'test', log);
  records = new Records(redis, prefix);
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis?.disconnect();
  await server?.stop();
});

async function route(orthancStudyId: string): Promise<void> {
  const identity = { source: 'main', orthancStudyId, contentHash: 'h' };
  const study = { epoch: '1', studyInstanceUid: '1.2', instanceCount: 1, modalities: ['CT'], rules: [], targets: [] };
  await records.routed(
    { ...identity, ...study, studyTaskId: studyTaskId(identity), routedAt: 1_000, lastUpdate: date },
    [],
  );
}

/** @returns what was done, in order */
async function sweep(studies: readonly (readonly [id: string, lastUpdate: string])[], refusal?: Error) {
  const done: string[] = [];
  const asked: number[] = [];
  const page = studies.map(
    ([ID, LastUpdate]) => ({ ID, LastUpdate, IsStable: true, MainDicomTags: {}, PatientMainDicomTags: {} }) as Study,
  );
  const settled = new SettledStudies(redis, prefix, 'main');
  const feed: FeedState = { epoch: 1, seq: 0, fingerprint: undefined, since };
  const sweeping = sweepSource({
    source: 'main',
    config: sourceConfig.parse({ url: 'http://127.0.0.1:8042' }),
    orthanc: {
      studies: {
        async list({ since: from, limit }: { since: number; limit: number }) {
          asked.push(from);
          return page.slice(from, from + limit);
        },
      },
    } as unknown as OrthancClient,
    records,
    feed,
    epochNow: () => 1,
    redis,
    prefix,
    searchKey: undefined,
    now: () => nowMs,
    sourceNow: async () => nowMs,
    confirm: async () => {},
    async beforeRouting() {
      if (refusal) throw refusal;
      done.push('checked');
    },
    async route(id) {
      done.push(id);
      return 'routed' as never;
    },
    misdated: { all: async () => new Map(), routed: async () => {} },
    settled: (ids) => settled.read(ids),
    waiting: async () => new Set(),
    leave: (old) => settled.leave(old),
    async putOff(id, reason) {
      done.push(`${id}: ${reason instanceof DispatchError ? reason.code : String(reason)}`);
    },
    notDue: async () => new Set(),
    takeBack: async () => {},
    log,
    signal: new AbortController().signal,
  });
  const error: unknown = await sweeping.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { done, error, asked };
}

it('routes a study whose keys are all gone, and none that is settled or older than the start', async () => {
  await route('known');
  await route('changed');
  await new SettledStudies(redis, prefix, 'main').leave([{ ID: 'settled', LastUpdate: date }]);
  const { done, error } = await sweep([
    ['gone', date],
    ['known', date],
    ['changed', '20261129T120001'],
    ['settled', date],
    ['old', '20261129T105959'],
  ]);
  expect(error).toBeUndefined();
  expect(done).toEqual(['checked', 'gone', 'changed']);
});

it('enters a study again that has a record and is missing in the index, and does not route it', async () => {
  await route('known');
  await route('lost');
  const index = keys.index('studies');
  await redis.zrem(index, 'main lost');
  const { done, error } = await sweep([
    ['known', date],
    ['lost', date],
    ['old', '20261129T105959'],
  ]);
  expect(error).toBeUndefined();
  expect(done).toEqual([]);
  expect(await redis.zrange(index, '0', '-1', 'WITHSCORES')).toEqual(['main known', '1000', 'main lost', '1000']);
});

it.each([
  ['no JSON', '["1","1.2'],
  ['a list of something else', '[1,2,3]'],
  ['an object of something else', '{"rules":{}}'],
  ['no object', 'null'],
])('postpones a study whose record is %s, and compares all others', async (_, text) => {
  for (const id of ['first', 'damaged', 'lost', 'last']) await route(id);
  for (const id of ['damaged', 'lost']) await redis.set(keys.study('main', id), text);
  // One of them is also missing in the index.
  await redis.zrem(keys.index('studies'), 'main lost');
  const later = '20261129T120001';
  const ids = ['first', 'damaged', 'gone', 'lost', 'last'];
  const { done, error } = await sweep(ids.map((id) => [id, id === 'first' ? date : later]));
  expect(error).toBeUndefined();
  expect(done).toEqual(['damaged: record-damaged', 'lost: record-damaged', 'checked', 'gone', 'last']);
  expect(await redis.zscore(keys.index('studies'), 'main lost')).not.toBeNull();
  expect(await redis.get(keys.study('main', 'damaged'))).toBe(text);
  expect(await redis.hget(keys.sweep('main'), 'unread')).toBe('2');
});

it('routes nothing if the check before it refuses the source', async () => {
  const refusal = new Error('the same database as another source');
  expect(await sweep([['gone', date]], refusal)).toMatchObject({ done: [], error: refusal });
});

it('an interrupted sweep continues at its place, and begins again if the source has another database since', async () => {
  const ids = Array.from({ length: 120 }, (_, index) => `s-${index}`);
  for (const id of ids.slice(0, -1)) await route(id);
  const studies = ids.map((id) => [id, date] as const);
  const refusal = new Error('interrupted');
  expect(await sweep(studies, refusal)).toMatchObject({ asked: [0, 50], error: refusal });
  expect(await sweep(studies, refusal)).toMatchObject({ asked: [50], error: refusal });
  // An earlier version did not note the database.
  for (const epoch of ['2', undefined]) {
    await redis.hset(keys.sweep('main'), { place: 50 });
    await (epoch === undefined ? redis.hdel(keys.sweep('main'), 'epoch') : redis.hset(keys.sweep('main'), { epoch }));
    expect(await sweep(studies)).toMatchObject({ asked: [0, 50], done: ['checked', 's-119'], error: undefined });
  }
});
