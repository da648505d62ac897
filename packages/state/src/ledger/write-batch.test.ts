import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createLedger, type Ledger } from './ledger.ts';
import type { LedgerKey } from './ledger-types.ts';

const prefix = '{batch}';
const key: LedgerKey = { source: 'main', orthancStudyId: 'o-1', studyInstanceUid: '1.2.840.1', target: 'pacs' };
const fence = { lockKey: `${prefix}:target-pacs:d-1:lock`, token: 'mine' };
let server: RedisServer;
let redis: Redis;
let ledger: Ledger;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  ledger = createLedger(redis, { prefix, timeoutMs: 30_000 });
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  await redis.set(fence.lockKey, fence.token);
  // The script is in the cache of Redis from here on.
  await ledger.confirm({ ...key, orthancStudyId: 'o-0' }, [confirmation(0)]);
  await redis.config('RESETSTAT');
});

function confirmation(number: number, deliveryId = 'd-1') {
  return { sopInstanceUid: `2.25.${number}`, version: 'v1', attempt: 1, deliveryId, at: 1_700_000_000_123 };
}
const many = (count: number, from = 0) => Array.from({ length: count }, (_, index) => confirmation(from + index));

async function scriptCalls(): Promise<number> {
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
}

test.each([
  [[500], 1],
  [[501], 2],
  [[1_700], 4],
  [[300, 200], 1],
  [[300, 201], 2],
  [[0], 0],
])('confirmations of %j instances at a time take %i calls of at most 500', async (counts, calls) => {
  const parts = counts.map((count, at) => many(count, at * 10_000));
  await Promise.all(parts.map((part) => ledger.confirm(key, part, fence)));
  expect(await scriptCalls()).toBe(calls);
  expect((await ledger.entries(key)).size).toBe(counts.reduce((sum, count) => sum + count, 0));
});

test('a lost lock also rejects the writes that wait behind the failed one, and stores none of them', async () => {
  await redis.set(fence.lockKey, 'of another worker');
  const writes = [many(500), many(500, 1_000), many(10, 2_000)].map((part) => ledger.confirm(key, part, fence));
  const outcomes = await Promise.allSettled(writes);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  for (const outcome of outcomes) {
    expect(outcome).toMatchObject({
      reason: { code: 'lock-lost', message: 'the lock of the delivery is no longer held by this worker' },
    });
  }
  expect(await scriptCalls()).toBe(1);
  expect((await ledger.entries(key)).size).toBe(0);
  // Later writes are sent again.
  await redis.set(fence.lockKey, fence.token);
  await ledger.confirm(key, many(3), fence);
  expect((await ledger.entries(key)).size).toBe(3);
});

test('writes of one delivery are executed in their order: the last one counts', async () => {
  const error = { code: 'instance-refused', message: 'no' };
  for (let round = 0; round < 5; round += 1) {
    await Promise.all([
      ledger.confirm(key, many(400), fence),
      ledger.quarantine(key, { ...confirmation(7), error }, fence),
      ledger.confirm(key, many(400, 1_000), fence),
      ledger.quarantine(key, { ...confirmation(1_008), error }, fence),
    ]);
    const entries = await ledger.entries(key);
    expect(entries.get('2.25.7')?.state).toBe('quarantined');
    expect(entries.get('2.25.1008')?.state).toBe('quarantined');
    expect(entries.size).toBe(800);
  }
});

test('deliveries, targets and locks do not share a call, and each is written under its own lock', async () => {
  const other = { lockKey: `${prefix}:target-pacs:d-2:lock`, token: 'theirs' };
  const stale = { ...fence, token: 'earlier' };
  const outcomes = await Promise.allSettled([
    ledger.confirm(key, [confirmation(1)], fence),
    ledger.confirm(key, [confirmation(2, 'd-2')], other),
    ledger.confirm({ ...key, target: 'cloud' }, [confirmation(3)], fence),
    ledger.confirm(key, [confirmation(4)], stale),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected']);
  expect([...(await ledger.entries(key)).keys()]).toEqual(['2.25.1']);
  expect([...(await ledger.entries({ ...key, target: 'cloud' })).keys()]).toEqual(['2.25.3']);
});

test('a Redis without a response is a ledger fault that names the reason', async () => {
  const away = new Redis({ host: '127.0.0.1', port: 1, lazyConnect: true, maxRetriesPerRequest: null });
  away.on('error', () => {});
  const silent = createLedger(away, { prefix, timeoutMs: 50 });
  const fault = {
    code: 'ledger-unavailable',
    message: 'Redis did not answer for the ledger',
    cause: { message: 'no answer from Redis within 50 ms' },
  };
  for (const act of [
    () => silent.confirm(key, [confirmation(1)], fence),
    () => silent.quarantine(key, { ...confirmation(1), error: { code: 'c', message: '' } }),
    () => silent.revoke(key, confirmation(1)),
    () => silent.entries(key),
    () => silent.pending(key, [confirmation(1)]),
    () => silent.summary(key),
    () => silent.clearQuarantine(key),
    () => silent.takeBack(key, [{ name: '1', versionHash: 'x', at: 1 }]),
    () => silent.fold(key, []),
    () => silent.forget(key),
  ]) {
    await expect(act()).rejects.toMatchObject(fault);
  }
  away.disconnect();
});
