import { expect, it } from 'vitest';
import { describeAbort, describeRejection } from './reasons.ts';

it.each([
  [1, 1, 7, 'permanent', 'service-user', 'called-ae-title-not-recognized'],
  [1, 2, 2, 'permanent', 'service-provider-acse', 'protocol-version-not-supported'],
  [2, 3, 1, 'transient', 'service-provider-presentation', 'temporary-congestion'],
  [2, 3, 2, 'transient', 'service-provider-presentation', 'local-limit-exceeded'],
  [1, 1, 9, 'permanent', 'service-user', 'reserved'],
  [0, 0, 1, 'unknown', 'unknown', 'reserved'],
  [9, 9, 9, 'unknown', 'unknown', 'reserved'],
])('a rejection with %i, %i, %i is %s, by %s: %s', (resultCode, sourceCode, reasonCode, result, source, reason) => {
  expect(describeRejection(resultCode, sourceCode, reasonCode)).toEqual({
    result,
    source,
    reason,
    resultCode,
    sourceCode,
    reasonCode,
  });
});

it.each([
  [0, 0, 'service-user', 'not-specified'],
  // The reason has no meaning then (PS3.8 section 9.3.8).
  [0, 6, 'service-user', 'not-specified'],
  [2, 1, 'service-provider', 'unrecognized-pdu'],
  [2, 6, 'service-provider', 'invalid-pdu-parameter-value'],
  [2, 9, 'service-provider', 'reserved'],
  [1, 2, 'reserved', 'unexpected-pdu'],
])('an abort with %i, %i is by %s: %s', (sourceCode, reasonCode, source, reason) => {
  expect(describeAbort(sourceCode, reasonCode)).toEqual({ source, reason, sourceCode, reasonCode });
});
