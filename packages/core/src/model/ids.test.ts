import { expect, it } from 'vitest';
import { contentHash, deliveryId, isUid, studyTaskId } from './ids.ts';

const identity = { source: 'main', orthancStudyId: 'o-3', target: 'pacs', contentHash: 'abc' };

it('the same content to the same target is the same delivery, anything else is a different one', () => {
  expect(deliveryId(identity)).toBe(deliveryId({ ...identity }));
  const others = [
    { ...identity, source: 'other' },
    { ...identity, orthancStudyId: 'o-4' },
    { ...identity, target: 'disk' },
    { ...identity, contentHash: 'abd' },
    { ...identity, nonce: 'again' },
  ].map((one) => deliveryId(one));
  expect(new Set([deliveryId(identity), ...others]).size).toBe(6);
  expect(studyTaskId(identity)).toMatch(/^s-[0-9a-f]{20}$/);
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
});

it.each([
  ['1.2.840.10008.1.1', true],
  ['1..2', false],
  ['', false],
  ['1.2.a', false],
  [`1.${'2'.repeat(63)}`, false],
])('%j is a UID: %s', (text, expected) => {
  expect(isUid(text)).toBe(expected);
});
