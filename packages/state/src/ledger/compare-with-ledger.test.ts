import { expect, test } from 'vitest';
import { compareWithLedger, entryOf } from './compare-with-ledger.ts';
import { copyHash, isVersion, versionHash } from './entry-codec.ts';
import type { InstanceVersion, LedgerEntry } from './ledger-types.ts';

const alone = { sopInstanceUid: '2.25.7', seriesInstanceUid: '2.25.8', version: 'v1' } as const;
const shared = { ...alone, sharesSopInstanceUid: true } as const;
const [byUid, byBoth] = ['2.25.7', '2.25.7@2.25.8'];

function delivered(hash: string, at = 1): LedgerEntry {
  return { state: 'delivered', versionHash: hash, attempt: 1, at, delivery: 'd-1' };
}
const hashOf = (version: string): string => versionHash(version, '2.25.8');

test('each instance of a manifest is in one part, in the order of the manifest', () => {
  const error = { code: 'instance-refused', message: 'no' };
  const entries = new Map<string, LedgerEntry>([
    ['1', delivered(versionHash('v1', 's'))],
    ['2', { ...delivered(versionHash('v1', 's')), state: 'quarantined', error }],
    ['3', { ...delivered(versionHash('v0', 's')), state: 'quarantined', error }],
    ['5', delivered(versionHash('v1', 's'))],
  ]);
  const manifest = ['5', '4', '3', '2', '1'].map((sopInstanceUid) => ({
    sopInstanceUid,
    seriesInstanceUid: 's',
    version: 'v1',
  }));
  const { pending, delivered: done, quarantined } = compareWithLedger(entries, manifest);
  expect(pending).toEqual([manifest[1], manifest[2]]);
  expect(done).toEqual([manifest[0], manifest[4]]);
  expect(quarantined).toEqual([manifest[3]]);
});

test('of the entries with and without the series the newer one counts, with either name of the instance', () => {
  const v1 = hashOf('v1');
  const v2 = hashOf('v2');
  for (const name of [alone, shared]) {
    const entryIn = (inAlone: LedgerEntry, inShared: LedgerEntry) =>
      entryOf(
        new Map([
          [byUid, inAlone],
          [byBoth, inShared],
        ]),
        name,
      );
    expect(entryIn(delivered(v1, 2), delivered(v2, 1))?.at).toBe(2);
    expect(entryIn(delivered(v2, 2), delivered(v1, 1))).toBeUndefined();
    expect(entryIn(delivered(v2, 1), delivered(v1, 2))?.at).toBe(2);
    expect(entryIn(delivered(v1, 1), delivered(v2, 2))).toBeUndefined();
    // At the same time: the one that names the series.
    expect(entryIn(delivered(v2, 1), delivered(v1, 1))?.versionHash).toBe(v1);
    expect(entryIn(delivered(v1, 1), delivered(v2, 1))).toBeUndefined();
    for (const field of [byUid, byBoth]) {
      expect(entryOf(new Map([[field, delivered(v1)]]), name)?.versionHash).toBe(v1);
    }
  }
});

test('an instance without a known series is found by its SOP Instance UID alone', () => {
  const unknown: InstanceVersion = { sopInstanceUid: '2.25.7', version: 'v1' };
  const entries = new Map([
    [byUid, delivered(versionHash('v1'))],
    ['2.25.7@', delivered(versionHash('v1'), 9)],
    ['2.25.7@undefined', delivered(versionHash('v1'), 9)],
  ]);
  expect(entryOf(entries, unknown)?.at).toBe(1);
  expect(entryOf(new Map(), unknown)).toBeUndefined();
  expect(entryOf(new Map(), alone)).toBeUndefined();
});

test('an entry without a series in its hash counts only where no other series has the UID', () => {
  const old = new Map([[byUid, delivered(versionHash('v1'))]]);
  expect(entryOf(old, alone)?.state).toBe('delivered');
  expect(entryOf(old, { ...alone, version: 'v2' })).toBeUndefined();
  expect(entryOf(old, shared)).toBeUndefined();
  // Under both UIDs a hash always contains the series.
  expect(entryOf(new Map([[byBoth, delivered(versionHash('v1'))]]), alone)).toBeUndefined();
});

test('a hash is of the version of an instance, or of this copy of it, and of no other', () => {
  const copy = { ...alone, fileUuid: 'file-1' };
  expect(isVersion(copyHash(copy), copy)).toBe(true);
  expect(isVersion(hashOf('v1'), copy)).toBe(true);
  expect(isVersion(copyHash({ ...copy, fileUuid: 'file-2' }), copy)).toBe(false);
  expect(isVersion(copyHash(copy), alone)).toBe(false);
  expect(isVersion(versionHash('v1'), alone)).toBe(false);
  expect(isVersion(versionHash('v1', '2.25.9'), alone)).toBe(false);
  expect(copyHash(alone)).toBe(hashOf('v1'));
  // Version and file are one text in the hash: neither may pass for a part of the other.
  expect(copyHash({ ...alone, version: 'v', fileUuid: '1' })).not.toBe(hashOf('v1'));
});
