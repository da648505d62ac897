import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { redisNow } from '../redis/index.ts';
import {
  listPutOff,
  parsePutOff,
  readFeedState,
  readSourceStatus,
  routeAnew,
  routeSoon,
  seenChanges,
  tryPutOffNow,
  writeFeedState,
  writeSourceStatus,
  type FeedState,
} from './index.ts';

const prefix = '{feed}';
let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

describe('the position in a feed', () => {
  const state: FeedState = { epoch: 2, seq: 7, fingerprint: { seq: 7, id: 'o-7', date: '20260101T000000' }, since: '' };

  it('is read from either of its two places if the other one was lost', async () => {
    expect(await readFeedState(redis, prefix, 'main')).toBeUndefined();
    await writeFeedState(redis, prefix, 'main', state);
    expect(await readFeedState(redis, prefix, 'main')).toEqual(state);
    expect(await readFeedState(redis, prefix, 'other')).toBeUndefined();
    await redis.del(`${prefix}:feed:main`);
    expect(await readFeedState(redis, prefix, 'main')).toEqual(state);
    await writeFeedState(redis, prefix, 'main', { ...state, seq: 8 });
    await redis.del(`${prefix}:sweep:main`);
    expect(await readFeedState(redis, prefix, 'main')).toMatchObject({ seq: 8 });
  });

  it('names the changes that identify the database, the newest first', () => {
    const [one, two] = [1, 2].map((seq) => ({ seq, id: `o-${seq}`, date: '' })) as [never, never];
    expect(seenChanges({ ...state, anchors: [one, two] })).toEqual([state.fingerprint, two, one]);
    expect(seenChanges({ fingerprint: undefined, anchors: [one] })).toEqual([one]);
    expect(seenChanges({ fingerprint: state.fingerprint })).toEqual([state.fingerprint]);
    expect(seenChanges({ fingerprint: undefined })).toEqual([]);
  });
});

describe('postponed studies', () => {
  const [later, why] = [`${prefix}:feed-later:main`, `${prefix}:feed-later:main:tries`];

  it('are listed with their reasons, the earliest first, and counted beyond the limit', async () => {
    const reason = { tries: 3, since: 5, code: 'source-unreachable', message: 'away', claimedAt: 4 };
    await redis.zadd(later, 30, 'o-3', 10, 'o-1', 20, 'o-2');
    await redis.hset(why, { 'o-1': JSON.stringify(reason), 'o-2': '4' });
    const { count, studies } = await listPutOff(redis, prefix, 'main', 2);
    expect(count).toBe(3);
    expect(studies).toEqual([
      { orthancStudyId: 'o-1', dueAt: 10, ...reason },
      {
        orthancStudyId: 'o-2',
        dueAt: 20,
        tries: 4,
        since: 20,
        code: '',
        message: 'no reason is known',
        claimedAt: undefined,
      },
    ]);
    expect((await listPutOff(redis, prefix, 'main', 9)).studies.at(-1)).toMatchObject({
      orthancStudyId: 'o-3',
      tries: 0,
    });
    expect(await listPutOff(redis, prefix, 'other', 9)).toEqual({ count: 0, studies: [] });
  });

  it('have no reason if what is stored is none', () => {
    for (const text of [null, undefined, 'null', '"text"', 'true']) expect(parsePutOff(text)).toEqual({});
    expect(parsePutOff('7')).toEqual({ tries: 7 });
    expect(parsePutOff('{"code":"x"}')).toEqual({ code: 'x' });
  });

  it('are due now on request, one or all, and none is added', async () => {
    await redis.zadd(later, 9e15, 'o-1', 8e15, 'o-2');
    const before = await redisNow(redis, prefix);
    expect(await tryPutOffNow(redis, prefix, 'main', 'o-1')).toBe(1);
    expect(await tryPutOffNow(redis, prefix, 'main', 'o-9')).toBe(0);
    const score = Number(await redis.zscore(later, 'o-1'));
    expect(score).toBeGreaterThanOrEqual(before);
    expect(score).toBeLessThanOrEqual(await redisNow(redis, prefix));
    expect(Number(await redis.zscore(later, 'o-2'))).toBe(8e15);
    expect(await tryPutOffNow(redis, prefix, 'main')).toBe(2);
    expect(Number(await redis.zscore(later, 'o-2'))).toBeLessThan(8e15);
    expect(await redis.zcard(later)).toBe(2);
    expect(await tryPutOffNow(redis, prefix, 'other')).toBe(0);
  });
});

describe('a study that is to be routed again', () => {
  it('is due now, with the targets that do not have it, or by its rules', async () => {
    const before = await redisNow(redis, prefix);
    await routeSoon(redis, prefix, { source: 'main', orthancStudyId: 'o-1', lastUpdate: 'then', routedAt: 5 }, [
      'pacs',
    ]);
    await routeAnew(redis, prefix, { source: 'main', orthancStudyId: 'o-2' });
    expect(await redis.hgetall(`${prefix}:settled:main`)).toEqual({
      'o-1': JSON.stringify({ lastUpdate: 'then', only: ['pacs'], routedAt: 5 }),
    });
    for (const id of ['o-1', 'o-2']) {
      const score = Number(await redis.zscore(`${prefix}:waits:main`, id));
      expect(score).toBeGreaterThanOrEqual(before);
      expect(score).toBeLessThanOrEqual(await redisNow(redis, prefix));
    }
  });
});

it('the status of a source ends 30 seconds after its last report', async () => {
  expect(await readSourceStatus(redis, prefix, 'main')).toBeUndefined();
  const status = {
    at: 1,
    failing: { feed: { since: 1, code: 'c', message: 'm' } },
    lag: 3,
    movedAt: undefined,
    skewMs: 5,
    jump: undefined,
    sameAs: undefined,
  };
  await writeSourceStatus(redis, prefix, 'main', status);
  expect(await readSourceStatus(redis, prefix, 'main')).toEqual(JSON.parse(JSON.stringify(status)));
  const left = await redis.pttl(`${prefix}:feed-status:main`);
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThanOrEqual(30_000);
});
