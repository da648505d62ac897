import { describe, expect, it } from 'vitest';

import { OrthancError } from '../orthanc-error.ts';
import { parseHead } from './parse-head.ts';

const call = { method: 'GET', path: '/instances/x/file' };
const parse = (...lines: string[]) => parseHead(lines.join('\r\n'), call);

describe('parseHead', () => {
  it('reads what Orthanc 1.10.1 sends', () => {
    const head = parse(
      'HTTP/1.1 200 OK',
      'Connection: keep-alive',
      'Keep-Alive: timeout=1',
      'Content-Type: application/dicom',
      'Content-Length: 556',
    );
    expect(head).toMatchObject({
      status: 200,
      framing: { kind: 'length', lengthBytes: 556 },
      keepAlive: true,
      keepAliveMs: 1000,
    });
    expect(head.headers.get('content-type')).toBe('application/dicom');
  });

  it.each([
    { lines: ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'], framing: { kind: 'chunked' }, keepAlive: true },
    { lines: ['HTTP/1.1 200 OK', 'Connection: close'], framing: { kind: 'until-close' }, keepAlive: false },
    { lines: ['HTTP/1.1 200 OK'], framing: { kind: 'until-close' }, keepAlive: false },
    { lines: ['HTTP/1.1 204 No Content'], framing: { kind: 'none' }, keepAlive: true },
    { lines: ['HTTP/1.1 304 Not Modified', 'Content-Length: 5'], framing: { kind: 'none' }, keepAlive: true },
    {
      lines: ['HTTP/1.0 200 OK', 'Content-Length: 5'],
      framing: { kind: 'length', lengthBytes: 5 },
      keepAlive: false,
    },
    {
      lines: ['HTTP/1.1 200 OK', 'Content-Length: 5', 'Content-Length: 5'],
      framing: { kind: 'length', lengthBytes: 5 },
      keepAlive: true,
    },
    // Both are reported: the chunks count, and the connection is not reused (RFC 9112, section 6.3).
    {
      lines: ['HTTP/1.1 200 OK', 'Content-Length: 5', 'Transfer-Encoding: chunked'],
      framing: { kind: 'chunked' },
      keepAlive: false,
    },
  ])('$lines', ({ lines, framing, keepAlive }) => {
    expect(parse(...lines)).toMatchObject({ framing, keepAlive });
  });

  it.each([
    { why: 'no HTTP', lines: ['SSH-2.0-OpenSSH_9.2'] },
    { why: 'HTTP/2', lines: ['HTTP/2 200'] },
    { why: 'a length that is no number', lines: ['HTTP/1.1 200 OK', 'Content-Length: -1'] },
    { why: 'a length past all measure', lines: ['HTTP/1.1 200 OK', 'Content-Length: 99999999999999999999'] },
    { why: 'two lengths', lines: ['HTTP/1.1 200 OK', 'Content-Length: 5', 'Content-Length: 6'] },
    { why: 'gzip', lines: ['HTTP/1.1 200 OK', 'Content-Encoding: gzip', 'Content-Length: 5'] },
    { why: 'an unknown coding', lines: ['HTTP/1.1 200 OK', 'Transfer-Encoding: gzip, chunked'] },
    { why: 'a nameless field', lines: ['HTTP/1.1 200 OK', ': x'] },
  ])('refuses $why', ({ lines }) => {
    expect(() => parse(...lines)).toThrowError(OrthancError);
    expect(() => parse(...lines)).toThrowError(expect.objectContaining({ code: 'protocol' }));
  });
});
