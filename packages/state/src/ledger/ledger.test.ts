import { Redis } from 'ioredis';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, beforeEach, expect, test, onTestFinished } from 'vitest';
import { createLedger, type Ledger } from './ledger.ts';
import type { LedgerKey } from './ledger-types.ts';

let server: RedisServer;
let redis: Redis;
let ledger: Ledger;

const study = '1.2.826.0.1.3680043.8.498.1';
const key: LedgerKey = { source: 'main', orthancStudyId: 'o-1', studyInstanceUid: study, target: 'pacs' };
const prefix = '{dicom-dispatch}';

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  ledger = createLedger(redis, { timeoutMs: 30_000 });
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
});

function confirmation(sopInstanceUid: string, version = 'v1') {
  return { sopInstanceUid, version, attempt: 1, deliveryId: 'd-0123456789abcdef', at: 1_700_000_000_123 };
}

async function scriptCalls(): Promise<number> {
  const text = await redis.info('commandstats');
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(text)?.[1] ?? 0);
}

test('returns confirmed and quarantined instances', async () => {
  await ledger.confirm(key, [
    confirmation(`${study}.1`),
    { ...confirmation('2.25.7'), warning: { code: 'B000', message: 'coerced an attribute' } },
  ]);
  await ledger.quarantine(key, {
    ...confirmation(`${study}.3`),
    error: { code: 'instance-refused', message: 'x'.repeat(900) },
  });

  const entries = await ledger.entries(key);
  expect(entries.get(`${study}.1`)).toEqual({
    state: 'delivered',
    versionHash: expect.stringMatching(/^[\w-]{8}$/),
    attempt: 1,
    at: 1_700_000_000_123,
    delivery: 'd-01234567',
  });
  expect(entries.get('2.25.7')).toMatchObject({ warning: { code: 'B000', message: 'coerced an attribute' } });
  expect(entries.get(`${study}.3`)).toMatchObject({
    state: 'quarantined',
    error: { code: 'instance-refused', message: 'x'.repeat(300) },
  });
  expect(await ledger.summary(key)).toEqual({ delivered: 2, quarantined: 1 });
});

test('a confirmation replaces a quarantine, and its note with it', async () => {
  await ledger.quarantine(key, { ...confirmation('1.2.3'), error: { code: 'instance-refused', message: 'no' } });
  await ledger.confirm(key, [{ ...confirmation('1.2.3'), attempt: 2 }]);
  expect([...(await ledger.entries(key)).values()]).toMatchObject([{ state: 'delivered', attempt: 2 }]);
  expect(await redis.exists(`${prefix}:ledger:main:o-1:pacs:notes`)).toBe(0);
});

test('pending instances: unknown, changed, taken back; quarantined only until requested', async () => {
  await ledger.confirm(
    key,
    ['1.1', '1.2', '1.3'].map((uid) => confirmation(uid)),
  );
  await ledger.quarantine(key, { ...confirmation('1.4'), error: { code: 'instance-refused', message: 'no' } });
  await ledger.revoke(key, confirmation('1.3'));
  const manifest = ['1.1', '1.2', '1.3', '1.4', '1.5'].map((sopInstanceUid) => ({
    sopInstanceUid,
    version: sopInstanceUid === '1.2' ? 'v2' : 'v1',
  }));
  const uids = (list: { sopInstanceUid: string }[]) => list.map((instance) => instance.sopInstanceUid);

  const compared = await ledger.compare(key, manifest);
  expect(uids(compared.pending)).toEqual(['1.2', '1.3', '1.5']);
  expect(uids(compared.quarantined)).toEqual(['1.4']);
  expect(uids(await ledger.pending(key, manifest))).toEqual(['1.2', '1.3', '1.4', '1.5']);

  expect(await ledger.clearQuarantine(key, [{ sopInstanceUid: '1.1' }, { sopInstanceUid: '9.9' }])).toBe(0);
  expect(await ledger.clearQuarantine(key)).toBe(1);
  expect(uids((await ledger.compare(key, manifest)).pending)).toEqual(['1.2', '1.3', '1.4', '1.5']);
});

test('a cleared quarantine is of the named instances only, and of none without a name', async () => {
  const error = { code: 'instance-refused', message: 'no' };
  const shared = { seriesInstanceUid: '1.2.9', sharesSopInstanceUid: true as const };
  await ledger.confirm(key, [confirmation('1.0')]);
  for (const uid of ['1.1', '1.2', '1.3']) await ledger.quarantine(key, { ...confirmation(uid), error });
  await ledger.quarantine(key, { ...confirmation('1.3'), ...shared, error });
  expect(await ledger.clearQuarantine(key, [])).toBe(0);
  expect(await ledger.summary(key)).toEqual({ delivered: 1, quarantined: 4 });
  const named = [{ sopInstanceUid: '1.1' }, { sopInstanceUid: '1.3', ...shared }, { sopInstanceUid: '1.0' }];
  expect(await ledger.clearQuarantine(key, named)).toBe(2);
  expect([...(await ledger.entries(key)).keys()].sort()).toEqual(['1.0', '1.2', '1.3']);
  expect(await redis.hlen(`${prefix}:ledger:main:o-1:pacs:notes`)).toBe(2);
  expect(await ledger.clearQuarantine(key)).toBe(2);
  expect([...(await ledger.entries(key)).keys()]).toEqual(['1.0']);
  expect(await redis.exists(`${prefix}:ledger:main:o-1:pacs:notes`)).toBe(0);
});

test('only a confirmation with a receipt writes details for the receipt of its delivery', async () => {
  const receipt = { seriesInstanceUid: '1.9', sizeBytes: 7, sha256: undefined, answer: 'ok', place: 'there' };
  const one = confirmation('1.1');
  await ledger.confirm(key, [{ ...one, receipt: { ...one, ...receipt } }, confirmation('1.2')]);
  await ledger.quarantine(key, { ...confirmation('1.3'), error: { code: 'instance-refused', message: 'no' } });
  await ledger.revoke(key, confirmation('1.2'));
  expect(await redis.keys('*receipt*')).toEqual([`${prefix}:receipt-open:${one.deliveryId}`]);
  expect(await redis.hkeys(`${prefix}:receipt-open:${one.deliveryId}`)).toEqual(['1.1']);
  // It preserves the confirmation that is revoked.
  await ledger.revoke(key, one);
  expect(await redis.hkeys(`${prefix}:receipt-open:${one.deliveryId}`)).toEqual(['1.1']);
  expect((await ledger.entries(key)).size).toBe(1);
});

test('a warning is replaced, and removed, together with its entry', async () => {
  const notes = async () => Object.values(await redis.hgetall(`${prefix}:ledger:main:o-1:pacs:notes`));
  const warned = (code: string) => ({ ...confirmation('1.1'), warning: { code, message: 'coerced' } });
  await ledger.confirm(key, [warned('B000'), confirmation('1.2')]);
  await ledger.confirm(key, [warned('B007')]);
  expect(await notes()).toEqual(['B007 coerced']);
  await ledger.confirm(key, [confirmation('1.1')]);
  expect(await notes()).toEqual([]);
  // The first note of a call counts for the rest of it.
  await ledger.confirm(key, [warned('B000'), confirmation('1.1')]);
  expect(await notes()).toEqual([]);
  await ledger.confirm(key, [warned('B000')]);
  await ledger.revoke(key, confirmation('1.1'));
  expect(await notes()).toEqual([]);
});

test('a revoked instance is pending again under each name, and one of another series is not', async () => {
  const series = (seriesInstanceUid: string, version = 'v1') => ({
    ...confirmation('1.1', version),
    seriesInstanceUid,
  });
  const shared = (seriesInstanceUid: string, version = 'v1') => ({
    ...series(seriesInstanceUid, version),
    sharesSopInstanceUid: true as const,
  });
  const pending = async (one: ReturnType<typeof series>) => (await ledger.compare(key, [one])).pending.length === 1;

  // Confirmed while no other series had the UID, and revoked since another one has it.
  await ledger.confirm(key, [series('s-1')]);
  await ledger.revoke(key, shared('s-1'));
  expect(await pending(shared('s-1'))).toBe(true);
  expect(await pending(series('s-1'))).toBe(true);

  // The entry without a series is of another one: it stays.
  await ledger.confirm(key, [series('s-2'), shared('s-1')]);
  await ledger.revoke(key, shared('s-1'));
  expect([await pending(shared('s-1')), await pending(shared('s-2'))]).toEqual([true, false]);
  await ledger.revoke(key, shared('s-2', 'v2'));
  expect(await pending(shared('s-2'))).toBe(false);

  // Confirmed while two series had the UID, and revoked since one has it alone.
  await ledger.confirm(key, [shared('s-2')]);
  await ledger.revoke(key, series('s-2'));
  expect([await pending(series('s-2')), await pending(shared('s-2'))]).toEqual([true, true]);

  // A copy of the version.
  const copy = { ...series('s-3'), fileUuid: 'file-1' };
  await ledger.confirm(key, [copy]);
  await ledger.revoke(key, { ...copy, sharesSopInstanceUid: true });
  expect(await pending(copy)).toBe(true);
  expect((await ledger.entries(key)).size).toBe(0);
  expect(await redis.keys('*:ledger:*')).toEqual([]);
});

test('nothing to take back changes nothing', async () => {
  await ledger.confirm(key, [confirmation('1.1')]);
  const before = await scriptCalls();
  expect(await ledger.takeBack(key, [])).toBe(0);
  expect(await scriptCalls()).toBe(before);
});

test('targets and sources do not share a ledger, and forget removes every key of one', async () => {
  await ledger.confirm(key, [confirmation('1.1')]);
  await ledger.confirm({ ...key, target: 'cloud' }, [confirmation('1.1')]);
  await ledger.forget(key);
  expect((await ledger.entries(key)).size).toBe(0);
  expect((await ledger.entries({ ...key, target: 'cloud' })).size).toBe(1);
  await ledger.forget({ ...key, target: 'cloud' });
  expect(await redis.dbsize()).toBe(0);
});

test('writes under a fence only while the lock is held', async () => {
  const fence = { lockKey: `${prefix}:target-pacs:d-1:lock`, token: 'mine' };
  await expect(ledger.confirm(key, [confirmation('1.1')], fence)).rejects.toMatchObject({ code: 'lock-lost' });
  await redis.set(fence.lockKey, 'mine');
  await ledger.confirm(key, [confirmation('1.1')], fence);
  await redis.set(fence.lockKey, 'another');
  await expect(ledger.confirm(key, [confirmation('1.2')], fence)).rejects.toMatchObject({ code: 'lock-lost' });
  await expect(ledger.revoke(key, confirmation('1.1'), fence)).rejects.toMatchObject({ code: 'lock-lost' });
  await expect(ledger.confirm(key, [confirmation('1.2')], { ...fence, token: '' })).rejects.toMatchObject({
    code: 'lock-lost',
  });
  expect([...(await ledger.entries(key)).keys()]).toEqual(['1.1']);
});

test('many lanes share one round trip; a lock that is lost fails its own lanes only', async () => {
  await ledger.confirm(key, [confirmation('0.0')]);
  const lost = { lockKey: `${prefix}:lost`, token: 'x' };
  const before = await scriptCalls();
  const outcomes = await Promise.allSettled([
    ...Array.from({ length: 64 }, (_, lane) => ledger.confirm(key, [confirmation(`1.${lane}`)])),
    ledger.confirm(key, [confirmation('2.1')], lost),
  ]);
  expect((await scriptCalls()) - before).toBe(2);
  expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(64);
  expect(await ledger.summary(key)).toEqual({ delivered: 65, quarantined: 0 });
});

test('a study of 20,000 instances, confirmed together', async () => {
  const uids = Array.from({ length: 20_000 }, (_, number) => `${study}.${number % 40}.${number}`);
  await ledger.confirm(
    key,
    uids.map((uid) => confirmation(uid)),
  );
  expect(await ledger.summary(key)).toEqual({ delivered: 20_000, quarantined: 0 });
  expect(
    await ledger.pending(
      key,
      uids.map((sopInstanceUid) => ({ sopInstanceUid, version: 'v1' })),
    ),
  ).toEqual([]);
});

test('a study of 1,500 instances keeps the compact encoding', async () => {
  await ledger.confirm(
    key,
    Array.from({ length: 1500 }, (_, number) => confirmation(`${study}.${number}`)),
  );
  for (const shard of [0, 1, 2, 3]) {
    expect(await redis.object('ENCODING', `${prefix}:ledger:main:o-1:pacs:${shard}`)).toBe('listpack');
  }
});

test('two processes that confirm at the same time lose nothing', async () => {
  const other = new Redis(server.url);
  const second = createLedger(other, { timeoutMs: 30_000 });
  await Promise.all(
    [ledger, second].flatMap((writer, side) =>
      Array.from({ length: 200 }, (_, number) => writer.confirm(key, [confirmation(`${side}.${number}`)])),
    ),
  );
  other.disconnect();
  expect(await ledger.summary(key)).toEqual({ delivered: 400, quarantined: 0 });
});

test('a Redis that is away, silent or full is a ledger fault', async () => {
  const away = new Redis({ host: '127.0.0.1', port: 1, lazyConnect: true, maxRetriesPerRequest: null });
  onTestFinished(() => away.disconnect());
  away.on('error', () => {});
  const silent = createLedger(away, { timeoutMs: 100 });
  await expect(silent.confirm(key, [confirmation('1.1')])).rejects.toMatchObject({ code: 'ledger-unavailable' });
  await expect(silent.entries(key)).rejects.toMatchObject({ code: 'ledger-unavailable' });

  onTestFinished(async () => void (await redis.config('SET', 'maxmemory', '0')));
  await redis.config('SET', 'maxmemory', '1');
  await expect(ledger.confirm(key, [confirmation('1.1')])).rejects.toMatchObject({
    code: 'ledger-unavailable',
    cause: { message: expect.stringContaining('OOM') },
  });
});
