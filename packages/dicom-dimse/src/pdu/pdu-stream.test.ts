import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DimseError } from '../errors/dimse-error.ts';
import { arbitraryPdu } from '../testing/arbitrary-pdu.ts';
import { encodePdu } from './encode-pdu.ts';
import { PduStream } from './pdu-stream.ts';

const LIMITS = { maxPDataBytes: 16_384, maxAssociateBytes: 1024 * 1024 };

/** The result of a stream for chunks, with the pieces of a value joined. */
function read(chunks: readonly Buffer[], limits = LIMITS): string[] {
  const seen: string[] = [];
  let value: Buffer[] = [];
  const stream = new PduStream(
    {
      onPdu: (type, body) => seen.push(`${type} ${body.toString('hex')}`),
      onPDataStart: (length) => seen.push(`4 of ${length}`),
      onPDataPiece: (contextId, control, piece, isEnd) => {
        value.push(Buffer.from(piece));
        if (!isEnd) return;
        seen.push(`${contextId}/${control} ${Buffer.concat(value).toString('hex')}`);
        value = [];
      },
    },
    limits,
  );
  for (const chunk of chunks) stream.push(chunk);
  if (stream.isMidPdu) seen.push('mid');
  return seen;
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set([0, ...at.map((place) => place % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  );
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return error instanceof DimseError ? `${error.code}: ${error.abort?.reason}` : String(error);
  }
  return 'nothing thrown';
}

const header = (type: number, length: number): Buffer => {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt32BE(length, 2);
  return bytes;
};

describe('the PDU stream', () => {
  it('finds the same PDUs however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryPdu, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (pdus, places) => {
          const bytes = Buffer.concat(pdus.map(encodePdu));
          const whole = read([bytes]);
          expect(read(cut(bytes, places))).toEqual(whole);
          expect(read([...bytes].map((byte) => Buffer.of(byte)))).toEqual(whole);
        },
      ),
      { numRuns: 60, seed: 20_261_121 },
    );
  });

  it('detects an incomplete PDU', () => {
    const release = encodePdu({ type: 'release-rq' });
    expect(read([release])).not.toContain('mid');
    expect(read([release.subarray(0, 1)])).toContain('mid');
    expect(read([release.subarray(0, 9)])).toContain('mid');
  });

  it.each([
    ['a P-DATA of 4 GiB', header(4, 0xffffffff), 'limit-exceeded: invalid-pdu-parameter-value'],
    ['a P-DATA longer than agreed', header(4, 16_386), 'limit-exceeded: invalid-pdu-parameter-value'],
    ['an A-ASSOCIATE of 4 GiB', header(1, 0xffffffff), 'limit-exceeded: invalid-pdu-parameter-value'],
    ['an A-ASSOCIATE without its fixed fields', header(1, 60), 'protocol-error: invalid-pdu-parameter-value'],
    ['an A-ABORT of 5 bytes', header(7, 5), 'protocol-error: invalid-pdu-parameter-value'],
    ['a type of no PDU', header(8, 4), 'protocol-error: unrecognized-pdu'],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n'), 'protocol-error: unrecognized-pdu'],
    ['a TLS handshake', Buffer.from([0x16, 3, 1, 2, 0, 1, 0]), 'tls-expected: unrecognized-pdu'],
    [
      'a value that exceeds its PDU',
      Buffer.concat([header(4, 10), Buffer.from('0000000901030000', 'hex')]),
      'protocol-error: invalid-pdu-parameter-value',
    ],
    [
      'a value of less than 2 bytes',
      Buffer.concat([header(4, 10), Buffer.from('0000000101030000', 'hex')]),
      'protocol-error: invalid-pdu-parameter-value',
    ],
    [
      'stray bytes behind the last value',
      Buffer.concat([header(4, 9), Buffer.from('000000030103aabbcc', 'hex')]),
      'protocol-error: invalid-pdu-parameter-value',
    ],
  ])('refuses %s as soon as its header is here', (_name, bytes, code) => {
    expect(codeOf(() => read([bytes]))).toBe(code);
    expect(codeOf(() => read([...bytes].map((byte) => Buffer.of(byte))))).toBe(code);
  });

  it('accepts P-DATA of any length if it offered this', () => {
    expect(read([header(4, 0xfffffff0)], { ...LIMITS, maxPDataBytes: 0 })).toEqual(['4 of 4294967280', 'mid']);
  });
});
