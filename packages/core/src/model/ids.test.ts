import { expect, it } from 'vitest';
import { arrivingHash, contentHash, deliveryId, instanceKey, isUid, studyTaskId } from './ids.ts';

const identity = { source: 'main', orthancStudyId: 'o-3', target: 'pacs', contentHash: 'abc' };

it('the same content to the same target is the same delivery, anything else is a different one', () => {
  expect(deliveryId(identity)).toBe(deliveryId({ ...identity }));
  const others = [
    { ...identity, source: 'other' },
    { ...identity, orthancStudyId: 'o-4' },
    { ...identity, target: 'disk' },
    { ...identity, contentHash: 'abd' },
    { ...identity, nonce: 'again' },
    { ...identity, transform: 'anon' },
    { ...identity, transform: 'other' },
  ].map((one) => deliveryId(one));
  expect(new Set([deliveryId(identity), ...others]).size).toBe(8);
  expect(deliveryId(identity)).toMatch(/^d-[0-9a-f]{20}$/);
});

it('the same content of a study is the same task, anything else is a different one', () => {
  expect(studyTaskId(identity)).toBe(studyTaskId({ ...identity, nonce: '' }));
  const others = [
    { ...identity, source: 'other' },
    { ...identity, orthancStudyId: 'o-4' },
    { ...identity, contentHash: 'abd' },
    { ...identity, nonce: 'again' },
  ].map((one) => studyTaskId(one));
  expect(new Set([studyTaskId(identity), ...others]).size).toBe(5);
  expect(studyTaskId(identity)).toMatch(/^s-[0-9a-f]{20}$/);
});

it('ids are those of records of earlier versions', () => {
  expect(deliveryId(identity)).toBe('d-b42540013fa774743e17');
  expect(studyTaskId(identity)).toBe('s-b7be294ec04a5698ea7d');
  expect(contentHash([{ sopInstanceUid: '1', version: 'a' }])).toBe('3a8c3ed29cfcdf09c7e0');
});

it('parts of an identity do not run into each other', () => {
  expect(deliveryId({ ...identity, source: 'ab', orthancStudyId: 'c' })).not.toBe(
    deliveryId({ ...identity, source: 'a', orthancStudyId: 'bc' }),
  );
});

it('the hash of an instance set does not depend on its order, but on versions', () => {
  const one = { sopInstanceUid: '1', version: 'a' };
  const two = { sopInstanceUid: '2', version: 'a' };
  expect(contentHash([one, two])).toBe(contentHash([two, one]));
  expect(contentHash([one, { ...two, version: 'b' }])).not.toBe(contentHash([one, two]));
  expect(contentHash([one, { ...two, sopInstanceUid: '3' }])).not.toBe(contentHash([one, two]));
  expect(contentHash([one])).not.toBe(contentHash([one, two]));
});

it('an instance is identified by its UID, with its series only if the study has the UID in several', () => {
  const one = { sopInstanceUid: '1', seriesInstanceUid: '9' };
  expect(instanceKey(one)).toBe('1');
  expect(instanceKey({ ...one, sharesSopInstanceUid: true })).toBe('1@9');
  expect(instanceKey({ sopInstanceUid: '1', sharesSopInstanceUid: true })).toBe('1@');
});

it('content that is still arriving is other content after each routing', () => {
  expect([undefined, '', 'abc'].map(arrivingHash)).toEqual(['arriving', 'arriving', 'arriving-after-abc']);
});

it.each([
  ['1.2.840.10008.1.1', true],
  ['1', true],
  ['1..2', false],
  ['.1', false],
  ['1.', false],
  ['', false],
  ['1.2.a', false],
  ['1.2\n', false],
  [`1.${'2'.repeat(62)}`, true],
  [`1.${'2'.repeat(63)}`, false],
])('%j is a UID: %s', (text, expected) => {
  expect(isUid(text)).toBe(expected);
});
