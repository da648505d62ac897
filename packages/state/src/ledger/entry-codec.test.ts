import { instanceKey } from '@dicom-dispatch/core';
import { expect, test } from 'vitest';
import {
  decodeEntry,
  decodeField,
  encodeField,
  encodeNote,
  encodeStored,
  encodeValue,
  versionHash,
} from './entry-codec.ts';

const study = '1.2.840.113619.2.55.3.604688119.969';

test.each([
  [`${study}.1`, `${study.length}~.1`],
  [study, `${study.length}~`],
  ['1.2.840.10008', '9~0008'],
  ['2.25.12345', '2.25.12345'],
  ['1.9', '1.9'],
  ['odd~uid', '0~odd~uid'],
  ['@3:1.2', '0~@3:1.2'],
  [`${study}@3:1.2`, `${study.length}~@3:1.2`],
  ['1.2.9', '4~9'],
  ['1.2~9', '0~1.2~9'],
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
  ['2.25.7', '1.3.46.670589.11'],
  ['2.25\n7', '2.25\n8'],
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
  // Up to 128 characters an invalid UID is stored as it is.
  expect(encodeField(study, { sopInstanceUid: 'x'.repeat(128) })).toBe('x'.repeat(128));
  expect(encodeField(study, { sopInstanceUid: 'x'.repeat(129) })).toMatch(/^#[\w-]{43}$/);
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

test('an entry has its state, version, attempt, time and delivery, and its note by state', () => {
  const outcome = { sopInstanceUid: '1', version: 'v1', attempt: 3, deliveryId: 'd-0123456789', at: 1_700_000_000_123 };
  const recorded = { versionHash: versionHash('v1'), attempt: 3, at: 1_700_000_000_123, delivery: 'd-01234567' };
  const [sent, refused] = [encodeValue('delivered', outcome), encodeValue('quarantined', outcome)];
  expect(sent).toBe(`d ${versionHash('v1')} 3 loyw3v5n d-01234567`);
  expect(refused).toBe(`q ${versionHash('v1')} 3 loyw3v5n d-01234567`);
  expect(encodeStored(recorded)).toBe(sent);
  const note = { code: 'B000', message: 'an attribute was coerced' };
  expect(encodeNote(note)).toBe('B000 an attribute was coerced');
  expect(encodeNote({ code: 'B000', message: 'x'.repeat(301) })).toBe(`B000 ${'x'.repeat(300)}`);
  expect(decodeEntry(sent, undefined)).toEqual({ state: 'delivered', ...recorded });
  expect(decodeEntry(sent, encodeNote(note))).toEqual({ state: 'delivered', ...recorded, warning: note });
  expect(decodeEntry(refused, encodeNote(note))).toEqual({ state: 'quarantined', ...recorded, error: note });
  // Its note was lost.
  expect(decodeEntry(refused, undefined)).toEqual({
    state: 'quarantined',
    ...recorded,
    error: { code: 'internal', message: '' },
  });
});

test('the time of an entry is the present unless it is given', () => {
  const before = Date.now();
  const value = encodeValue('delivered', { sopInstanceUid: '1', version: 'v1', attempt: 1, deliveryId: 'd-1' });
  const { at = 0 } = decodeEntry(value, undefined) ?? {};
  expect(at).toBeGreaterThanOrEqual(before);
  expect(at).toBeLessThanOrEqual(Date.now());
});

test('an entry in an unknown format counts as not delivered', () => {
  expect(decodeEntry('', undefined)).toBeUndefined();
  expect(decodeEntry('x abc 1 lz 1', undefined)).toBeUndefined();
  for (const part of ['d', 'd abc', 'd abc 1', 'd abc 1 lz', 'q abc 1 lz', 'x']) {
    expect(decodeEntry(part, undefined), part).toBeUndefined();
  }
  expect(encodeNote(undefined)).toBe('');
});
