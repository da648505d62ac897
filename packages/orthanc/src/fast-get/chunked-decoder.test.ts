import { describe, expect, it } from 'vitest';

import { ChunkedDecoder } from './chunked-decoder.ts';

const call = { method: 'GET', path: '/x' };

function decode(text: string, pieceBytes: number): { data: string; done: boolean } {
  const decoder = new ChunkedDecoder(call);
  const bytes = Buffer.from(text, 'latin1');
  const data: string[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    decoder.decode(bytes.subarray(at, at + pieceBytes), (part) => data.push(part.toString('latin1')));
  }
  return { data: data.join(''), done: decoder.done };
}

describe('ChunkedDecoder', () => {
  // "5;x=y" has an extension, "0" is followed by one trailer field.
  const coded = '5;x=y\r\nhello\r\nA \r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n';

  it('gives the same result for any chunk sizes', () => {
    for (let size = 1; size <= coded.length; size += 1) {
      expect(decode(coded, size)).toEqual({ data: 'hello0123456789', done: true });
    }
  });

  it('is not done before the end of the trailer', () => {
    for (let length = 0; length < coded.length; length += 1) {
      expect(decode(coded.slice(0, length), 7).done).toBe(false);
    }
  });

  it.each([
    { why: 'a size that is no number', text: 'zz\r\n' },
    { why: 'no size', text: '\r\n' },
    { why: 'a chunk that is longer than told', text: '2\r\nabc\r\n' },
    { why: 'a size line without end', text: '1'.repeat(5000) },
    { why: 'a size past all measure', text: '1000000000000\r\n' },
  ])('refuses $why', ({ text }) => {
    expect(() => decode(text, 100)).toThrowError(expect.objectContaining({ code: 'protocol' }));
  });
});
