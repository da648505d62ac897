import { expect, test } from 'vitest';
import { decodeEntry, decodeField, encodeField, encodeNote, encodeValue, versionHash } from './entry-codec.ts';

const study = '1.2.840.113619.2.55.3.604688119.969';

test.each([
  [`${study}.1`, `${study.length}~.1`],
  [study, `${study.length}~`],
  ['1.2.840.10008', '9~0008'],
  ['2.25.12345', '2.25.12345'],
  ['1.9', '1.9'],
  ['odd~uid', '0~odd~uid'],
  ['', ''],
])('field of %s', (uid, field) => {
  expect(encodeField(study, uid)).toBe(field);
  expect(decodeField(study, field)).toBe(uid);
});

test('the longest UID and the longest value stay below the 64 bytes of the compact encoding', () => {
  expect(encodeField('2.25.1', '1'.repeat(64)).length).toBeLessThanOrEqual(64);
  const value = encodeValue('delivered', { version: 'v'.repeat(999), attempt: 1_000_000, deliveryId: 'd'.repeat(99) });
  expect(value.length).toBeLessThanOrEqual(64);
  expect(decodeEntry(value, undefined)).toMatchObject({
    versionHash: versionHash('v'.repeat(999)),
    attempt: 1_000_000,
  });
});

test('what nobody of ours wrote counts as not delivered', () => {
  expect(decodeEntry('', undefined)).toBeUndefined();
  expect(decodeEntry('x abc 1 lz 1', undefined)).toBeUndefined();
  expect(decodeEntry('d abc', undefined)).toBeUndefined();
  expect(encodeNote(undefined)).toBe('');
});
