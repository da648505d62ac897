import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import * as fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { decodeFolded, encodeFolded, type FoldedEntry } from './folded-codec.ts';
import { versionHash } from './entry-codec.ts';
import { createLedger, type Ledger, type LedgerKey } from './index.ts';

const prefix = '{fold}';
const study = '1.2.840.113619.2.55.3.604688119.969.1268071029';
const key: LedgerKey = { source: 'main', orthancStudyId: 'o-1', studyInstanceUid: study, target: 'pacs' };

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

/** As created by a scanner and Orthanc: some instances arrive in each second. */
function instance(index: number, more: { readonly version?: string } = {}) {
  return {
    sopInstanceUid: `${study}.${650 + Math.floor(index / 250)}.${(index % 250) + 1}`,
    seriesInstanceUid: `${study}.${Math.floor(index / 250)}`,
    version: `20261129T2052${String(Math.floor(index / 40) % 60).padStart(2, '0')}/${526_000 + ((index * 37) % 90)}`,
    ...more,
  };
}

async function deliver(instances: readonly ReturnType<typeof instance>[], deliveryId = 'd-0123456789'): Promise<void> {
  const outcomes = instances.map((one, index) => ({
    ...one,
    attempt: 1,
    deliveryId,
    at: 1_700_000_000_000 + index * 17,
  }));
  await ledger.confirm(key, outcomes);
}

async function keysAndBytes(): Promise<{ keys: string[]; bytes: number }> {
  const keys = (await redis.keys('*')).sort();
  const sizes = await Promise.all(keys.map((one) => redis.memory('USAGE', one, 'SAMPLES', 0)));
  return { keys, bytes: sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0) };
}

test('of two copies with one version the ledger shows which was sent, until the version alone is sufficient', async () => {
  const [one, two] = [instance(1), instance(2)];
  const copies = (fileUuid: string) => [
    { ...one, fileUuid },
    { ...two, fileUuid },
  ];
  await deliver(copies('a'));
  const pending = async (some: readonly ReturnType<typeof instance>[]) =>
    (await ledger.compare(key, some)).pending.length;
  expect([await pending(copies('a')), await pending(copies('b'))]).toEqual([0, 2]);
  await ledger.fold(key, [one, two]);
  expect([await pending(copies('a')), await pending(copies('b'))]).toEqual([0, 2]);
  await ledger.revoke(key, copies('a')[0]!);
  expect(await pending(copies('a'))).toBe(1);
  await deliver(copies('a'));
  // The study has not changed since: which copy it was does not matter any more.
  await ledger.fold(key, copies('a'));
  expect([
    await pending(copies('a')),
    await pending(copies('b')),
    await pending([one, two]),
    await pending([{ ...one, version: 'other' }]),
  ]).toEqual([0, 0, 0, 1]);
  // Confirmed without a copy, as by an older version.
  await deliver([one, two]);
  expect([await pending(copies('a')), await pending(copies('b'))]).toEqual([0, 0]);
});

describe('a folded ledger', () => {
  test('of a previous version is read', () => {
    const packed = Buffer.from(
      [
        'AQAAAM0bUgEAxPdnbtr/HDAJcG30Ods3D0ttZjvgEQag+5smiXVJK6luklAaaTZNt4miRF+QjilFpQ9i5YLig5CHoseUURIJ59nlqg40/9sksBUQ',
        'VIxYQfwRSm0JLvHE/seaiGjeVQ7KXAmaMDMVtuRSUIaHeWd2Xs1ePSYmI5Ewojkk5aUhSclkaX6FwGQS0khiarPt6j47vwZbd5jXD9dZc7B4KTRC',
        'rFpnGVM+ZUnOU8Oizoekv3Vq0iR4pwLGjTJOgfApcZJViaJEVVWJH+IPgq3Zk1pQ',
      ].join(''),
      'base64',
    );
    const of = (version: string) => ({
      of: { version, seriesInstanceUid: '1.2.3.0' },
      versionHash: versionHash(version, '1.2.3.0'),
    });
    const one = { attempt: 1, delivery: 'd-01234567', note: '' };
    const [first, second] = ['20261129T205200/526000', '20261129T205201/526037'];
    expect(decodeFolded(packed)).toEqual([
      { ...one, ...of(first), field: '29~.650.1', at: 1_700_000_000_000 },
      { ...one, ...of(second), field: '29~.650.2', at: 1_700_000_000_017, note: '{"code":"B000"}' },
      {
        field: '29~.651.1',
        of: undefined,
        versionHash: 'gq3Zk1pQ',
        attempt: 2,
        at: 1_700_000_000_009,
        delivery: 'd-76543210',
        note: '',
      },
    ]);
  });

  test('of format 2, as until format 7 of the data, is read', () => {
    const packed = [
      'AgAAAhWyAAAAG/gAAMS+9tsu5o3KvBnafdNIyLTDvVpJdFKmknjjgP37GifYPt9WH+zBJlpPFti0K5ztRRcOAO7yfJiTNLKVrOsk1eKYrmmLgj',
      'kyVHK4iDJdGLbjen4QRqJkYcTJdDZfLFdkVA28tSjp2bbdmZ+Xt/lyIcNnF4DWXX2Z1stQaVvZw6HSWmRD9T8cDkEALJEYk74XKzkSznLv9TZD',
      'ZlvfAjLZSb0FkswU8P992lmQGRIgAAsAAABjYGBgYGBkoBAAAAsAAABjYGJiYmJhogwAAAkAAABjYGBgZKAYAAAMAAAAY2BiYmEiDHzxygIASg',
      'AAAAFFALr/AHfusCdy6TSrIm3kL6YdaN8qoRhj2iWcE17VIJcOWdAbkglUyxaNBE/GEYj/SsEMg/pFvAd+9UC3AnnwO7IpdOs2rSRvDQAAAGNg',
      'YGBgZCCOwARQOQAKAAAAY2RiZGBkohQCAEgAAABjsNtltklvldoiuVlik/i62Jr+VX0repf1LOle1LWgc17HnPZZbTNap7VMaZ7UNKE+rjamul',
      '9ln/JepT2KuxV2ye+U2yGwfgBAAAAABcGFAYAgAAAwQLqkSwn/f9INAAAhQteFMSGUMsY4F0JKpbQ2xtr7ds77EGJMKedSaq2t9T7G87zvnGvt',
      'fc73AwkAAABjYAADRgaKAAAJAAAAY2AgFTBhEQMACQAAAGNggAJGBgoAAAGwnRH9dg==',
    ].join('');
    const expected = Array.from({ length: 70 }, (_, at): FoldedEntry => {
      const seconds = String(20 + (at % 40));
      const of = {
        seriesInstanceUid: `1.2.${at % 2}`,
        version: `20231114T2213${seconds}/${526_000 + ((at * 7_919) % 300)}`,
      };
      return {
        field: at === 5 ? 'other' : `4~.${at}`,
        of: at === 3 ? undefined : of,
        versionHash: at === 3 ? 'AbCdEf12' : versionHash(of.version, of.seriesInstanceUid),
        attempt: at === 7 ? 2 : 1,
        at: 1_700_000_000_000 + at * at * 31,
        delivery: at < 50 ? 'd-01234567' : 'd-89abcdef',
        note: at === 9 ? 'B000 coerced' : '',
      };
    });
    const entries = decodeFolded(Buffer.from(packed, 'base64'));
    expect(entries).toEqual(expected);
    expect(decodeFolded(encodeFolded(entries))).toEqual(expected);
  });

  test('with an end that is missing, or with more than its columns, is refused', () => {
    const of = { seriesInstanceUid: '1.2', version: '20231114T221320/526000' };
    const entries = Array.from({ length: 200 }, (_, at): FoldedEntry => ({
      field: `4~.${at}`,
      of: { ...of, version: `20231114T221320/${(at * 7_919) % 1_000}` },
      versionHash: versionHash(`20231114T221320/${(at * 7_919) % 1_000}`, '1.2'),
      attempt: 1,
      at: 1_700_000_000_000 + ((at * 7_919) % 1_000),
      delivery: 'd-01234567',
      note: '',
    }));
    const packed = encodeFolded(entries);
    const columns = packed.subarray(5);
    const framed = (bytes: Buffer): Buffer => {
      const head = Buffer.from(packed.subarray(0, 5));
      head.writeUInt32BE(bytes.length, 1);
      return Buffer.concat([head, bytes]);
    };
    expect(decodeFolded(framed(columns))).toEqual(entries);
    expect(() => decodeFolded(framed(columns.subarray(0, -1)))).toThrow();
    expect(() => decodeFolded(framed(Buffer.concat([columns, Buffer.alloc(1)])))).toThrow('too late');
  });

  test('returns its input', () => {
    const entry: fc.Arbitrary<FoldedEntry> = fc
      .record({
        field: fc.oneof(fc.string({ maxLength: 70 }), fc.stringMatching(/^[0-9]{0,20}~?[.]0{0,2}[0-9]{0,17}$/)),
        of: fc.option(
          fc.record({ seriesInstanceUid: fc.option(fc.string(), { nil: undefined }), version: fc.string() }),
          { nil: undefined },
        ),
        hash: fc.uint8Array({ minLength: 6, maxLength: 6 }),
        attempt: fc.nat({ max: 1_000 }),
        at: fc.integer({ min: 0, max: 4e12 }),
        delivery: fc.string({ maxLength: 10 }),
        note: fc.string({ maxLength: 60 }),
      })
      .map(({ hash, ...rest }) => ({
        ...rest,
        versionHash: rest.of
          ? versionHash(rest.of.version, rest.of.seriesInstanceUid)
          : Buffer.from(hash).toString('base64url'),
      }));
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 100 }), (entries) => {
        expect(decodeFolded(encodeFolded(entries))).toEqual(entries);
      }),
    );
  });

  test('of 500 instances takes less than 2 kB and one key, with the same content', async () => {
    const instances = Array.from({ length: 500 }, (_, index) => instance(index));
    await deliver(instances);
    const [before, entries] = [await keysAndBytes(), await ledger.entries(key)];
    await ledger.fold(key, instances);
    const after = await keysAndBytes();
    expect(after.keys).toEqual([`${prefix}:ledger:main:o-1:pacs:folded`]);
    expect(after.bytes).toBeLessThan(2_048);
    expect(before.bytes).toBeGreaterThan(15 * after.bytes);
    expect(new Map([...(await ledger.entries(key))].sort())).toEqual(new Map([...entries].sort()));
    expect((await ledger.compare(key, instances)).delivered).toEqual(instances);
  });

  test('that was written by an older version, with unknown versions, is folded with their hashes', async () => {
    const instances = Array.from({ length: 500 }, (_, index) => instance(index));
    await deliver(instances);
    await ledger.fold(key, []);
    expect((await keysAndBytes()).bytes).toBeLessThan(5_000);
    expect((await ledger.compare(key, instances)).delivered).toEqual(instances);
    const changed = [instance(3, { version: 'other' })];
    expect((await ledger.compare(key, changed)).pending).toEqual(changed);
  });

  test('accepts late and changed instances, and folds them', async () => {
    const first = Array.from({ length: 20 }, (_, index) => instance(index));
    await deliver(first);
    await ledger.fold(key, first);
    const all = [...first.with(4, instance(4, { version: 'changed' })), instance(20), instance(21)];
    const { pending } = await ledger.compare(key, all);
    expect(pending).toEqual([all[4], all[20], all[21]]);
    await deliver(pending, 'd-9876543210');
    expect((await ledger.compare(key, all)).pending).toEqual([]);
    expect((await ledger.compare(key, first)).pending).toEqual([first[4]]);
    await ledger.fold(key, all);
    expect((await keysAndBytes()).keys).toEqual([`${prefix}:ledger:main:o-1:pacs:folded`]);
    expect((await ledger.compare(key, all)).pending).toEqual([]);
    expect((await ledger.compare(key, first)).pending).toEqual([first[4]]);
    expect((await ledger.entries(key)).get(all[20]!.sopInstanceUid)).toMatchObject({ delivery: 'd-98765432' });
  });

  test('of 10,000 instances grows no more: later ones stay in their hashes', async () => {
    const instances = Array.from({ length: 10_000 }, (_, index) => instance(index));
    await deliver(instances);
    await ledger.fold(key, instances);
    const { keys } = await keysAndBytes();
    expect(keys).toHaveLength(1);
    const packed = await redis.getBuffer(keys[0]!);
    const late = instance(10_000);
    await deliver([late]);
    await ledger.fold(key, [...instances, late]);
    expect(await redis.getBuffer(keys[0]!)).toEqual(packed);
    expect((await keysAndBytes()).keys).toHaveLength(2);
    expect((await ledger.compare(key, [...instances, late])).pending).toEqual([]);
  });

  test('loses what is revoked, and nothing else', async () => {
    const instances = Array.from({ length: 2_500 }, (_, index) => instance(index));
    await deliver(instances);
    await ledger.fold(key, instances);
    await ledger.revoke(key, instances[7]!);
    expect((await ledger.compare(key, instances)).pending).toEqual([instances[7]]);
    await ledger.fold(key, instances);
    expect((await ledger.compare(key, instances)).pending).toEqual([instances[7]]);
  });

  test('keeps warnings, and does not restore entries that a quarantine has replaced', async () => {
    const instances = Array.from({ length: 8 }, (_, index) => instance(index));
    await deliver(instances.slice(1));
    const outcomes = { attempt: 1, deliveryId: 'd-0123456789', at: 1 };
    await ledger.confirm(key, [{ ...instances[0]!, ...outcomes, warning: { code: 'B000', message: 'coerced' } }]);
    await ledger.fold(key, instances);
    expect((await ledger.entries(key)).get(instances[0]!.sopInstanceUid)).toMatchObject({
      warning: { code: 'B000', message: 'coerced' },
    });
    const error = { code: 'instance-refused', message: 'no' };
    await ledger.quarantine(key, { ...instances[1]!, ...outcomes, error });
    expect(await ledger.summary(key)).toEqual({ delivered: 7, quarantined: 1 });
    expect(await ledger.clearQuarantine(key)).toBe(1);
    expect((await ledger.compare(key, instances)).pending).toEqual([instances[1]]);
    await ledger.fold(key, instances);
    expect((await ledger.compare(key, instances)).pending).toEqual([instances[1]]);
  });

  test('does not come back when it is forgotten while it is folded', async () => {
    const instances = Array.from({ length: 50 }, (_, index) => instance(index));
    for (let round = 0; round < 20; round += 1) {
      await deliver(instances);
      const other = createLedger(redis, { prefix });
      const folding = Promise.all([ledger.fold(key, instances), other.fold(key, [])]);
      await ledger.forget(key);
      await folding;
      await ledger.forget(key);
      expect(await redis.keys('*')).toEqual([]);
    }
    await deliver(instances);
    const folding = ledger.fold(key, instances);
    await ledger.forget(key);
    await folding;
    expect((await ledger.entries(key)).size).toBe(0);
  });
});
