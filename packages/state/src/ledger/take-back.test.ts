import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createLedger, type Ledger } from './ledger.ts';
import type { LedgerKey } from './ledger-types.ts';

let server: RedisServer;
let redis: Redis;
let ledger: Ledger;

const key: LedgerKey = { source: 'main', orthancStudyId: 'o-1', studyInstanceUid: '1.2.840.1', target: 'pacs' };

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  ledger = createLedger(redis, { timeoutMs: 30_000 });
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(() => redis.flushall());

const confirmation = { version: 'v1', attempt: 1, deliveryId: 'd-0123456789', seriesInstanceUid: '1.2.840.1.1' };

test('a confirmation is removed only if it has not changed since it was read', async () => {
  const shared = { ...confirmation, sopInstanceUid: '2.25.9', sharesSopInstanceUid: true as const, at: 1_003 };
  await ledger.confirm(key, [
    { ...confirmation, sopInstanceUid: '1.2.840.1.7', at: 1_001 },
    { ...confirmation, sopInstanceUid: '1.2.840.1.8', at: 1_002 },
    shared,
  ]);
  const read = await ledger.entries(key);
  // Confirmed again since: by the same attempt, of the same version.
  await ledger.confirm(key, [{ ...confirmation, sopInstanceUid: '1.2.840.1.8', at: 1_009 }]);
  const all = Array.from(read, ([name, { versionHash, at }]) => ({ name, versionHash, at }));
  expect(all.length).toBe(3);
  expect(await ledger.takeBack(key, all)).toBe(2);
  expect([...(await ledger.entries(key))].map(([name, { at }]) => [name, at])).toEqual([['1.2.840.1.8', 1_009]]);
  expect(await ledger.takeBack(key, all)).toBe(0);
});

test('its warning is removed with it, and no other', async () => {
  const warning = { code: 'B000', message: 'coerced' };
  const uids = ['1.2.840.1.7', '1.2.840.1.8'];
  await ledger.confirm(
    key,
    uids.map((sopInstanceUid) => ({ ...confirmation, sopInstanceUid, at: 1_001, warning })),
  );
  const { versionHash } = (await ledger.entries(key)).get('1.2.840.1.7')!;
  expect(await ledger.takeBack(key, [{ name: '1.2.840.1.7', versionHash, at: 1_001 }])).toBe(1);
  const [notes = ''] = await redis.keys('*:notes');
  expect(await redis.hvals(notes)).toEqual(['B000 coerced']);
  expect((await ledger.entries(key)).get('1.2.840.1.8')).toMatchObject({ warning });
});

test('what is quarantined was never confirmed', async () => {
  const error = { code: 'instance-refused', message: 'no' };
  await ledger.quarantine(key, { ...confirmation, sopInstanceUid: '1.2.3', at: 5, error });
  const [entry] = (await ledger.entries(key)).values();
  expect(await ledger.takeBack(key, [{ name: '1.2.3', versionHash: entry?.versionHash ?? '', at: 5 }])).toBe(0);
});

test('it is also removed from a folded ledger', async () => {
  const instances = Array.from({ length: 6 }, (_, index) => ({
    ...confirmation,
    sopInstanceUid: `1.2.840.1.${index}`,
  }));
  await ledger.confirm(
    key,
    instances.map((one, index) => ({ ...one, at: 1_000 + index })),
  );
  await ledger.fold(key, instances);
  const { versionHash, at } = (await ledger.entries(key)).get('1.2.840.1.4')!;
  expect(await ledger.takeBack(key, [{ name: '1.2.840.1.4', versionHash, at: at + 1 }])).toBe(0);
  expect(await ledger.takeBack(key, [{ name: '1.2.840.1.4', versionHash, at }])).toBe(1);
  expect((await ledger.compare(key, instances)).pending).toEqual([instances[4]]);
});
