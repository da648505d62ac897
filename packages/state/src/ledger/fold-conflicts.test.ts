import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { encodeField, encodeStored, versionHash } from './entry-codec.ts';
import { entriesOf, readStored } from './fold.ts';
import { decodeFolded, encodeFolded } from './folded-codec.ts';
import { ledgerKeys, shardOf } from './ledger-keys.ts';
import { foldScript, unfoldScript } from './ledger-scripts.ts';
import { createLedger, type Ledger, type LedgerKey } from './index.ts';

const prefix = '{fold}';
const study = '1.2.840.1';
const key: LedgerKey = { source: 'main', orthancStudyId: 'o-1', studyInstanceUid: study, target: 'pacs' };
const keys = ledgerKeys(prefix, key);
const [notesKey = '', foldedKey = ''] = keys.slice(4);
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
beforeEach(() => redis.flushall());

function instance(number: number, version = 'v1') {
  return { sopInstanceUid: `2.25.${number}`, seriesInstanceUid: '2.25.0', version };
}
const some = (count: number) => Array.from({ length: count }, (_, number) => instance(number));
const outcome = (number: number, version = 'v1', at = 1_000 + number) => ({
  ...instance(number, version),
  attempt: 1,
  deliveryId: 'd-0123456789',
  at,
});
const warning = { code: 'B000', message: 'coerced' };
const error = { code: 'instance-refused', message: 'no' };
const fieldOf = (number: number): string => encodeField(study, instance(number));
const valueOf = (number: number, version = 'v1', at = 1_000 + number): string =>
  encodeStored({ versionHash: versionHash(version, '2.25.0'), attempt: 1, at, delivery: 'd-01234567' });

async function stored() {
  const { hashes, notes, packed } = await readStored(redis, keys);
  return { hashes: new Map(hashes), notes: new Map(notes), packed };
}
const entries = async () => [...(await ledger.entries(key))].sort();

/** As if entries 0 to 2 had been read to be folded; the first one with a warning. */
async function prepareFold(): Promise<(string | number | Buffer)[]> {
  await ledger.confirm(key, [{ ...outcome(0), warning }, outcome(1), outcome(2)]);
  const read = await readStored(redis, keys);
  const folded = [0, 1, 2].map((number) => ({
    field: fieldOf(number),
    of: { seriesInstanceUid: '2.25.0', version: 'v1' },
    versionHash: versionHash('v1', '2.25.0'),
    attempt: 1,
    at: 1_000 + number,
    delivery: 'd-01234567',
    note: number === 0 ? 'B000 coerced' : '',
  }));
  expect(new Map([...read.hashes].sort())).toEqual(new Map([0, 1, 2].map((one) => [fieldOf(one), valueOf(one)])));
  const args = folded.flatMap(({ field, note }, at) => [shardOf(field), field, valueOf(at), note]);
  return ['', encodeFolded(folded), ...args];
}

describe('entries that are folded', () => {
  test('leave their hashes and notes together', async () => {
    const args = await prepareFold();
    const before = await entries();
    expect(await foldScript.run(redis, keys, args)).toBe(1);
    expect(await redis.keys('*')).toEqual([foldedKey]);
    expect(await entries()).toEqual(before);
  });

  test('stay in their hashes if they were confirmed again meanwhile, and count', async () => {
    const args = await prepareFold();
    await ledger.confirm(key, [outcome(1, 'v2', 9_000)]);
    expect(await foldScript.run(redis, keys, args)).toBe(1);
    expect((await stored()).hashes).toEqual(new Map([[fieldOf(1), valueOf(1, 'v2', 9_000)]]));
    expect((await ledger.compare(key, [instance(0), instance(1), instance(1, 'v2'), instance(2)])).pending).toEqual([
      instance(1),
    ]);
  });

  test('stay in their hashes if only their warning is another one meanwhile', async () => {
    const args = await prepareFold();
    await redis.hset(notesKey, fieldOf(1), 'B007 later', fieldOf(0), 'B007 other');
    expect(await foldScript.run(redis, keys, args)).toBe(1);
    expect([...(await stored()).hashes.keys()].sort()).toEqual([fieldOf(0), fieldOf(1)]);
    const found = await ledger.entries(key);
    expect(found.get('2.25.0')).toMatchObject({ warning: { code: 'B007', message: 'other' } });
    expect(found.get('2.25.1')).toMatchObject({ warning: { code: 'B007', message: 'later' } });
  });

  test.each([
    ['one was revoked', () => ledger.revoke(key, instance(2))],
    ['the study was forgotten', () => ledger.forget(key)],
    ['another process has folded', () => ledger.fold(key, some(3))],
  ])('are not folded if %s meanwhile', async (_, act) => {
    const args = await prepareFold();
    await act();
    const before = await stored();
    expect(await foldScript.run(redis, keys, args)).toBe(0);
    expect(await stored()).toEqual(before);
  });

  test('are not folded over a folded ledger that another process has removed or replaced', async () => {
    const args = await prepareFold();
    const { packed } = await (async () => {
      await ledger.fold(key, some(3));
      return stored();
    })();
    await ledger.confirm(key, [outcome(3)]);
    const more = [packed ?? '', 'next', shardOf(fieldOf(3)), fieldOf(3), valueOf(3), ''];
    await redis.set(foldedKey, args[1] as Buffer);
    await redis.append(foldedKey, ' ');
    expect(await foldScript.run(redis, keys, more)).toBe(0);
    await redis.del(foldedKey);
    expect(await foldScript.run(redis, keys, more)).toBe(0);
    expect(await redis.keys('*')).toEqual([keys[shardOf(fieldOf(3)) - 1]]);
  });
});

describe('a ledger that is unfolded', () => {
  async function folded(): Promise<Buffer> {
    await ledger.confirm(key, [{ ...outcome(0), warning }, { ...outcome(1), warning }, outcome(2), outcome(3)]);
    await ledger.fold(key, some(4));
    const { packed } = await stored();
    return packed ?? Buffer.alloc(0);
  }
  const argsOf = (numbers: readonly number[]) =>
    numbers.flatMap((one) => [shardOf(fieldOf(one)), fieldOf(one), valueOf(one), one < 2 ? 'B000 coerced' : '']);

  test('has the same content in its hashes, with the warnings', async () => {
    const packed = await folded();
    const before = await entries();
    expect(await unfoldScript.run(redis, keys, [packed, '', ...argsOf([0, 3])])).toBe(1);
    expect(await redis.exists(foldedKey)).toBe(1);
    expect(await entries()).toEqual(before);
    expect(await unfoldScript.run(redis, keys, [packed, '1', ...argsOf([1, 2])])).toBe(1);
    expect(await redis.exists(foldedKey)).toBe(0);
    expect(await entries()).toEqual(before);
    expect(await redis.hgetall(notesKey)).toEqual({ [fieldOf(0)]: 'B000 coerced', [fieldOf(1)]: 'B000 coerced' });
  });

  test('preserves later entries, and adds no former warning to them', async () => {
    const packed = await folded();
    await ledger.confirm(key, [outcome(0, 'v2', 9_000)]);
    await ledger.quarantine(key, { ...outcome(2, 'v1', 9_001), error });
    const before = await entries();
    expect(await unfoldScript.run(redis, keys, [packed, '1', ...argsOf([0, 1, 2, 3])])).toBe(1);
    expect(await entries()).toEqual(before);
    expect((await ledger.entries(key)).get('2.25.0')).not.toHaveProperty('warning');
  });

  test('is not changed if it has changed since it was read', async () => {
    const packed = await folded();
    await ledger.confirm(key, [outcome(4)]);
    await ledger.fold(key, some(5));
    const before = await stored();
    expect(await unfoldScript.run(redis, keys, [packed, '1', ...argsOf([0, 1, 2, 3])])).toBe(0);
    expect(await stored()).toEqual(before);
    await ledger.forget(key);
    expect(await unfoldScript.run(redis, keys, [packed, '1', ...argsOf([0, 1, 2, 3])])).toBe(0);
    expect(await redis.keys('*')).toEqual([]);
  });

  test('loses only what is revoked: not the warnings of the others, nor their versions', async () => {
    await folded();
    const before = await entries();
    await ledger.revoke(key, instance(1));
    expect(await entries()).toEqual(before.filter(([name]) => name !== '2.25.1'));
    await ledger.fold(key, some(4));
    expect(await redis.keys('*')).toEqual([foldedKey]);
    expect(await entries()).toEqual(before.filter(([name]) => name !== '2.25.1'));
  });

  test('of any size is complete, when one entry is removed', async () => {
    for (const count of [999, 1_000, 1_001, 2_001]) {
      await redis.flushall();
      await ledger.confirm(
        key,
        some(count).map((_, number) => outcome(number)),
      );
      await ledger.fold(key, some(count));
      expect(await redis.keys('*')).toEqual([foldedKey]);
      await ledger.revoke(key, instance(count - 1));
      expect(await redis.exists(foldedKey)).toBe(0);
      expect((await ledger.entries(key)).size).toBe(count - 1);
      expect((await ledger.compare(key, some(count))).pending).toEqual([instance(count - 1)]);
    }
  });
});

describe('folding', () => {
  test('leaves a single entry in its hash, and folds two', async () => {
    await ledger.confirm(key, [outcome(0)]);
    await ledger.fold(key, some(1));
    expect(await redis.exists(foldedKey)).toBe(0);
    await ledger.confirm(key, [outcome(1)]);
    await ledger.fold(key, some(2));
    expect(await redis.keys('*')).toEqual([foldedKey]);
  });

  test('leaves more than 10,000 entries in their hashes', async () => {
    const count = 10_001;
    await ledger.confirm(
      key,
      some(count).map((_, number) => outcome(number)),
    );
    await ledger.fold(key, some(count));
    expect(await redis.exists(foldedKey)).toBe(0);
    expect((await ledger.summary(key)).delivered).toBe(count);
  });

  test('keeps warnings over several times, until a confirmation without one', async () => {
    await ledger.confirm(key, [{ ...outcome(0), warning }, { ...outcome(1), warning }, outcome(2)]);
    await ledger.fold(key, some(3));
    await ledger.confirm(key, [outcome(1, 'v1', 5_000), outcome(3)]);
    await ledger.fold(key, some(4));
    expect(await redis.keys('*')).toEqual([foldedKey]);
    const warned = (await entries()).filter(([, entry]) => 'warning' in entry).map(([name]) => name);
    expect(warned).toEqual(['2.25.0']);
  });

  test('stores the version of an entry that the caller does not name, if it was known before', async () => {
    await ledger.confirm(key, [outcome(0), outcome(1)]);
    await ledger.fold(key, some(2));
    await ledger.confirm(key, [outcome(2), outcome(3)]);
    // Of the last one another version is named: its hash alone is stored.
    await ledger.fold(key, [instance(2), instance(3, 'v2')]);
    const folded = decodeFolded((await stored()).packed ?? Buffer.alloc(0));
    expect(folded.map(({ field, of }) => [field, of?.version]).sort()).toEqual([
      [fieldOf(0), 'v1'],
      [fieldOf(1), 'v1'],
      [fieldOf(2), 'v1'],
      [fieldOf(3), undefined],
    ]);
    expect((await ledger.compare(key, some(4))).pending).toEqual([]);
  });

  test('does not include quarantined entries, nor those with a hash of another length', async () => {
    await ledger.confirm(key, [outcome(0), outcome(1)]);
    await ledger.quarantine(key, { ...outcome(2), error });
    await redis.hset(keys[shardOf(fieldOf(3)) - 1] ?? '', fieldOf(3), 'd 0123456789abcdef 1 rs d-1');
    const before = await entries();
    await ledger.fold(key, some(4));
    expect(await entries()).toEqual(before);
    const { hashes, notes } = await stored();
    expect([...hashes.keys()].sort()).toEqual([fieldOf(2), fieldOf(3)]);
    expect([...notes.keys()]).toEqual([fieldOf(2)]);
  });

  test('makes a cleared quarantine of a folded entry final', async () => {
    await ledger.confirm(key, [outcome(0), outcome(1), outcome(2)]);
    await ledger.fold(key, some(3));
    await ledger.quarantine(key, { ...outcome(0), error });
    expect(await ledger.clearQuarantine(key, [instance(0)])).toBe(1);
    expect((await stored()).hashes).toEqual(new Map([[fieldOf(0), 'x']]));
    expect((await ledger.compare(key, some(3))).pending).toEqual([instance(0)]);
    await ledger.fold(key, some(3));
    expect(await redis.keys('*')).toEqual([foldedKey]);
    expect(decodeFolded((await stored()).packed ?? Buffer.alloc(0)).map(({ field }) => field)).toEqual([
      fieldOf(1),
      fieldOf(2),
    ]);
    // Without a folded ledger nothing is left behind.
    await ledger.revoke(key, instance(1));
    await ledger.quarantine(key, { ...outcome(0), error });
    await ledger.clearQuarantine(key);
    expect([...(await stored()).hashes.keys()]).toEqual([fieldOf(2)]);
  });
});

describe('a folded ledger that cannot be read', () => {
  test.each([
    ['of a later format', Buffer.from([4, 0, 0, 0, 0])],
    ['of format 0', Buffer.from([0, 0, 0, 0, 0])],
    ['cut', Buffer.from([2, 0, 0, 0])],
    ['empty', Buffer.alloc(0)],
    ['with damaged columns', Buffer.from([2, 0, 0, 0, 4, 9, 9, 9, 9])],
  ])('%s is refused, not taken for an empty one, and stays', async (_, packed) => {
    expect(() => decodeFolded(packed)).toThrow();
    if (packed.length === 0) return;
    await redis.set(foldedKey, packed);
    const fault = { code: 'ledger-unavailable' };
    await expect(ledger.entries(key)).rejects.toMatchObject(fault);
    await expect(ledger.compare(key, some(1))).rejects.toMatchObject(fault);
    await expect(ledger.fold(key, some(1))).rejects.toMatchObject(fault);
    await expect(ledger.revoke(key, instance(0))).rejects.toMatchObject(fault);
    await expect(ledger.takeBack(key, [{ name: '2.25.0', versionHash: 'x', at: 1 }])).rejects.toMatchObject(fault);
    expect(await redis.getBuffer(foldedKey)).toEqual(packed);
  });

  test('the error of an unknown format names it', () => {
    expect(() => decodeFolded(Buffer.from([4, 0, 0, 0, 0]))).toThrow('a folded ledger cannot be read');
  });
});

test('an entry in a hash takes precedence over a folded one, also if it cannot be read', () => {
  const folded = { of: undefined, versionHash: 'folded-1', attempt: 1, at: 1, delivery: 'd-1', note: '' };
  const found = entriesOf({
    hashes: new Map([
      ['a', 'd in-hash1 2 2 d-2'],
      ['b', 'x'],
    ]),
    notes: new Map([['c', 'B000 of no entry in a hash']]),
    packed: undefined,
    folded: ['a', 'b', 'c'].map((field) => ({ ...folded, field })),
  });
  expect([...found].map(([field, { versionHash: hash }]) => [field, hash])).toEqual([
    ['a', 'in-hash1'],
    ['c', 'folded-1'],
  ]);
  expect(found.get('c')).not.toHaveProperty('warning');
});
