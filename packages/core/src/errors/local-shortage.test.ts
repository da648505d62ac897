import { expect, it } from 'vitest';
import { asDispatchError, innermostError, localShortage } from '../index.ts';

const withCode = (code: string, cause?: unknown): Error =>
  Object.assign(new Error(code, cause === undefined ? undefined : { cause }), { code });

it('names what this machine has run out of, with a remedy', () => {
  for (const code of ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL', 'ERR_MEMORY_ALLOCATION_FAILED']) {
    expect(localShortage(withCode(code))?.remedy).toMatch(/^(Raise|Give|Close)/);
    expect(asDispatchError(withCode(code))).toMatchObject({ code: 'local-resources', fault: 'internal' });
  }
  const outOfMemory = { code: 'local-resources', message: 'this host is out of memory' };
  expect(asDispatchError(new RangeError('Array buffer allocation failed'))).toMatchObject(outOfMemory);
  // V8 itself, for more than any machine can address.
  let thrown: unknown;
  try {
    Buffer.alloc(2 ** 50);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(RangeError);
  expect(asDispatchError(thrown)).toMatchObject(outOfMemory);
});

it('leaves errors of the peer, of names and of this program as they are', () => {
  for (const code of ['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'ENOENT', 'toString']) {
    expect(localShortage(withCode(code))).toBeUndefined();
  }
  expect(localShortage(new RangeError('Invalid array length'))).toBeUndefined();
  expect(asDispatchError(new RangeError('Invalid array length')).code).toBe('internal');
});

it('prefers, of several addresses, the answer of the peer to an address that this host cannot use', () => {
  const refused = withCode('ECONNREFUSED');
  const noIpv6 = withCode('EADDRNOTAVAIL');
  expect(innermostError(new AggregateError([noIpv6, refused]))).toBe(refused);
  expect(innermostError(new AggregateError([noIpv6, withCode('ENETUNREACH')]))).toBe(noIpv6);
  expect(innermostError(withCode('UND_ERR_SOCKET', new AggregateError([noIpv6, refused])))).toBe(refused);
  const plain = withCode('UND_ERR_SOCKET', new Error('without a code'));
  expect(innermostError(plain)).toBe(plain);
});
