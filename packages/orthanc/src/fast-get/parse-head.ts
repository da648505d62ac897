import { OrthancError } from '../orthanc-error.ts';
import type { CallName } from '../translate-error.ts';

/** What determines the end of the body of a response (RFC 9112, section 6.3). */
export type BodyFraming =
  | { kind: 'none' }
  | { kind: 'length'; lengthBytes: number }
  | { kind: 'chunked' }
  | { kind: 'until-close' };

export interface ResponseHead {
  status: number;
  framing: BodyFraming;
  /** Whether the connection may serve another request, and how long it may be idle. */
  keepAlive: boolean;
  keepAliveMs: number;
  /** By lower-case name; of repeated fields the last. */
  headers: ReadonlyMap<string, string>;
}

/** Maximum length of status line and header fields together. */
export const maxHeadBytes = 64 * 1024;

const defaultKeepAliveMs = 4_000;

/**
 * Parses a status line and header fields, without the empty line at their end (RFC 9112, sections 4 and 5).
 *
 * @throws OrthancError `protocol` if it is not HTTP/1.x, has two different lengths, or an encoding that was not requested.
 */
export function parseHead(text: string, call: CallName): ResponseHead {
  const lines = text.split('\r\n');
  const statusLine = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(lines[0] ?? '');
  if (statusLine === null) throw malformed(call, 'no HTTP/1.1 status line');
  const headers = new Map<string, string>();
  for (let index = 1; index < lines.length; index += 1) addField(headers, lines[index] as string, call);
  const status = Number(statusLine[2]);
  const framing = readFraming(status, headers, call);
  const keepAliveSeconds = /timeout=(\d{1,6})/.exec(headers.get('keep-alive') ?? '')?.[1];
  const connection = headers.get('connection')?.toLowerCase() ?? '';
  return {
    status,
    framing,
    keepAlive:
      statusLine[1] === '1' &&
      !connection.includes('close') &&
      framing.kind !== 'until-close' &&
      !(framing.kind === 'chunked' && headers.has('content-length')),
    keepAliveMs: keepAliveSeconds === undefined ? defaultKeepAliveMs : Number(keepAliveSeconds) * 1000,
    headers,
  };
}

function addField(headers: Map<string, string>, line: string, call: CallName): void {
  const colon = line.indexOf(':');
  if (colon < 1) throw malformed(call, 'a header field without a name');
  const name = line.slice(0, colon).toLowerCase();
  const value = line.slice(colon + 1).trim();
  if (name === 'content-length' && (headers.get(name) ?? value) !== value) {
    throw malformed(call, 'two lengths that differ');
  }
  headers.set(name, value);
}

function readFraming(status: number, headers: ReadonlyMap<string, string>, call: CallName): BodyFraming {
  if (status < 200 || status === 204 || status === 304) return { kind: 'none' };
  const encoding = headers.get('content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw malformed(call, 'a content encoding that was not asked for');
  }
  const transfer = headers.get('transfer-encoding')?.toLowerCase();
  if (transfer === 'chunked') return { kind: 'chunked' };
  if (transfer !== undefined && transfer !== 'identity') throw malformed(call, 'an unknown transfer encoding');
  const length = headers.get('content-length');
  if (length === undefined) return { kind: 'until-close' };
  if (!/^\d{1,15}$/.test(length)) throw malformed(call, 'a length that is no number');
  return { kind: 'length', lengthBytes: Number(length) };
}

function malformed(call: CallName, what: string): OrthancError {
  return new OrthancError('protocol', `${call.method} ${call.path}: the answer has ${what}`, call);
}
