import { instanceKey } from '@dicom-dispatch/core';
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
  ['@3:1.2', '0~@3:1.2'],
  ['..', '..'],
  ['', ''],
])('field of %s', (sopInstanceUid, field) => {
  expect(encodeField(study, { sopInstanceUid })).toBe(field);
  expect(decodeField(study, field)).toBe(sopInstanceUid);
});

test.each([
  [`${study}.1.1`, `${study}.1`],
  ['2.25.7', '2.25.8'],
  ['odd~uid@2', '@1:2'],
  ['..', ''],
])('field of %s in series %s, which another series has too', (sopInstanceUid, seriesInstanceUid) => {
  const name = { sopInstanceUid, seriesInstanceUid, sharesSopInstanceUid: true } as const;
  const field = encodeField(study, name);
  expect(field).not.toBe(encodeField(study, { sopInstanceUid }));
  expect(field).not.toBe(encodeField(study, { ...name, seriesInstanceUid: `${seriesInstanceUid}1` }));
  expect(decodeField(study, field)).toBe(instanceKey(name));
});

test('a value far too long for a UID takes no more space than a hash', () => {
  const long = 'x'.repeat(100_000);
  expect(encodeField(study, { sopInstanceUid: long }).length).toBeLessThan(64);
  expect(encodeField(study, { sopInstanceUid: `${long}y` })).not.toBe(encodeField(study, { sopInstanceUid: long }));
});

test('the longest UID and the longest value are below the 64 bytes of the compact encoding', () => {
  expect(encodeField('2.25.1', { sopInstanceUid: '1'.repeat(64) }).length).toBeLessThanOrEqual(64);
  const instance = { sopInstanceUid: '1', version: 'v'.repeat(999) };
  const value = encodeValue('delivered', { ...instance, attempt: 1_000_000, deliveryId: 'd'.repeat(99) });
  expect(value.length).toBeLessThanOrEqual(64);
  expect(decodeEntry(value, undefined)).toMatchObject({
    versionHash: versionHash('v'.repeat(999)),
    attempt: 1_000_000,
  });
});

test('an entry in an unknown format counts as not delivered', () => {
  expect(decodeEntry('', undefined)).toBeUndefined();
  expect(decodeEntry('x abc 1 lz 1', undefined)).toBeUndefined();
  expect(decodeEntry('d abc', undefined)).toBeUndefined();
  expect(encodeNote(undefined)).toBe('');
});
