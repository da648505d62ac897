import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test, onTestFinished } from 'vitest';
import { createStudyLocks, type StudyLocks } from './study-locks.ts';

const prefix = '{turns}';
const key = { source: 'main', orthancStudyId: 'o-1', studyInstanceUid: '2.25.1', target: 'pacs' };
const first = { lockKey: `${prefix}:target-pacs:d-1:lock`, token: 'one' };
const second = { lockKey: `${prefix}:target-pacs:d-2:lock`, token: 'two' };
let server: RedisServer;
let redis: Redis;
let locks: StudyLocks;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  locks = createStudyLocks(redis, { prefix, timeoutMs: 30_000 });
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  await redis.mset(first.lockKey, first.token, second.lockKey, second.token);
});

test('one delivery of a study at a time; waiting ones are returned at the end', async () => {
  expect(await locks.isFree(key)).toBe(true);
  expect(await locks.take(key, 'd-1', first)).toEqual({ kind: 'taken' });
  expect(await locks.isFree(key)).toBe(false);
  expect(await locks.take(key, 'd-2', second)).toEqual({ kind: 'wait', isFirstTry: true });
  expect(await locks.take(key, 'd-2', second)).toEqual({ kind: 'wait', isFirstTry: false });
  expect(await locks.take({ ...key, target: 'archive' }, 'd-2', second)).toEqual({ kind: 'taken' });
  expect(await locks.end(key, second)).toEqual([]);
  expect(await locks.end(key, first)).toEqual(['d-2']);
  expect(await locks.take(key, 'd-2', second)).toEqual({ kind: 'taken' });
});

test('the turn of a dead dispatcher ends with its lock, and its late end changes nothing', async () => {
  await locks.take(key, 'd-1', first);
  await redis.del(first.lockKey);
  expect(await locks.isFree(key)).toBe(true);
  expect(await locks.take(key, 'd-2', second)).toEqual({ kind: 'taken' });
  expect(await locks.end(key, first)).toEqual([]);
  expect(await locks.isFree(key)).toBe(false);
});

test('a resumed job takes over its own lock', async () => {
  await locks.take(key, 'd-1', first);
  await redis.set(first.lockKey, 'again');
  expect(await locks.take(key, 'd-1', { ...first, token: 'again' })).toEqual({ kind: 'taken' });
  expect(await locks.end(key, first)).toEqual([]);
  expect(await locks.isFree(key)).toBe(false);
});

test('a worker that has lost its job takes no lock', async () => {
  await redis.set(first.lockKey, 'of another worker');
  await expect(locks.take(key, 'd-1', first)).rejects.toMatchObject({
    code: 'lock-lost',
    message: 'the lock of the delivery is no longer held by this worker',
  });
  expect(await locks.isFree(key)).toBe(true);
});

test('a lock does not end while its job is locked, and is free as soon as it has ended', async () => {
  await locks.take(key, 'd-1', first);
  await locks.take(key, 'd-2', second);
  expect(await locks.take(key, 'd-1', first)).toEqual({ kind: 'taken' });
  // Another token under the same name, another name with the same token.
  expect(await locks.end(key, { ...first, token: 'two' })).toEqual([]);
  expect(await locks.end(key, { ...second, token: 'one' })).toEqual([]);
  expect(await locks.isFree(key)).toBe(false);
  expect(await locks.end(key, first)).toEqual(['d-2']);
  expect(await locks.isFree(key)).toBe(true);
  expect(await locks.end(key, first)).toEqual([]);
  // A delivery that has taken it does not wait for it any more.
  expect(await locks.take(key, 'd-2', second)).toEqual({ kind: 'taken' });
  expect(await locks.end(key, second)).toEqual([]);
  expect(await redis.keys('*:turn:*')).toEqual([]);
});

test('a delivery that gets the lock of a dead dispatcher does not wait for it any more', async () => {
  await locks.take(key, 'd-1', first);
  await locks.take(key, 'd-2', second);
  await locks.take(key, 'd-3', { ...second, lockKey: second.lockKey });
  await redis.del(first.lockKey);
  expect(await locks.take(key, 'd-2', second)).toEqual({ kind: 'taken' });
  expect(await locks.end(key, second)).toEqual(['d-3']);
});

test('locks and waiting deliveries that nobody removes expire after a week', async () => {
  await locks.take(key, 'd-1', first);
  await locks.take(key, 'd-2', second);
  const names = await redis.keys('*:turn:*');
  const left = await Promise.all(names.map((name) => redis.pttl(name)));
  expect(left.length).toBe(2);
  for (const ms of left) {
    expect(ms).toBeGreaterThan(7 * 86_400_000 - 600_000);
    expect(ms).toBeLessThanOrEqual(7 * 86_400_000);
  }
});

test('without Redis a lock is neither taken nor free', async () => {
  const away = new Redis({ host: '127.0.0.1', port: 1, lazyConnect: true, maxRetriesPerRequest: null });
  onTestFinished(() => away.disconnect());
  away.on('error', () => {});
  const silent = createStudyLocks(away, { prefix, timeoutMs: 50 });
  const fault = { code: 'ledger-unavailable', cause: { message: 'no answer from Redis within 50 ms' } };
  await expect(silent.take(key, 'd-1', first)).rejects.toMatchObject(fault);
  await expect(silent.isFree(key)).rejects.toMatchObject(fault);
  await expect(silent.end(key, first)).rejects.toMatchObject(fault);
});
