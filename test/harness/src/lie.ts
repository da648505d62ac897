import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';

/** A false response: one that the server has not sent, or only a part of its response. */
export type Lie =
  /** Only the first bytes, with a length that fits them (`length`), without one (`chunked`), or broken off (`cut`). */
  | { readonly kind: 'short'; readonly bytes: number; readonly framing?: 'length' | 'chunked' | 'cut' }
  /** Additional bytes at the end. */
  | { readonly kind: 'long'; readonly bytes: number; readonly framing?: 'length' | 'chunked' }
  /** Zeros after the response until the client disconnects. */
  | { readonly kind: 'endless' }
  | { readonly kind: 'empty' }
  /** The true response, without a length. */
  | { readonly kind: 'chunked' }
  /** The response to another request: like a cache that mixes up responses. */
  | { readonly kind: 'other'; readonly path: string }
  /** One changed byte. A negative position counts from the end. */
  | { readonly kind: 'flip'; readonly at: number }
  /** Other content with a success status: a login page, a file of another type. */
  | { readonly kind: 'text'; readonly body: string; readonly contentType?: string }
  /** A status, with a page that is not Orthanc's. */
  | { readonly kind: 'status'; readonly status: number; readonly body?: string; readonly contentType?: string }
  /** A compressed response (`Content-Encoding: gzip`) without a request for it. */
  | { readonly kind: 'gzip' }
  /** The first bytes as a response to an unrequested range (206). */
  | { readonly kind: 'range'; readonly bytes: number }
  /** The response as a part of a multipart body. */
  | { readonly kind: 'wrapped' }
  /** A redirect (302) to another path. */
  | { readonly kind: 'redirect'; readonly path: string }
  /** The connection is reset after this number of bytes of the response. */
  | { readonly kind: 'reset'; readonly bytes: number }
  /** No response until the client disconnects. */
  | { readonly kind: 'silence' };

export type LieKind = Lie['kind'];

export const loginPage = '<!DOCTYPE html><html><title>Sign in</title><form method="post">Password</form></html>';

/** Sends a false response: a changed response of the server, or another one. */
export async function answerWithLie(
  lie: Lie,
  /** Sends the request to the server, optionally with another path. */
  ask: (path?: string) => Promise<IncomingMessage>,
  response: ServerResponse,
): Promise<void> {
  switch (lie.kind) {
    case 'silence':
      return;
    case 'empty':
      return send(response, { status: 200, type: 'application/dicom', chunks: [], length: 0 });
    case 'text':
      return sendText(response, 200, lie.body, lie.contentType ?? 'text/html');
    case 'redirect':
      response.writeHead(302, { location: lie.path }).end();
      return;
    case 'status':
      return sendText(response, lie.status, lie.body ?? 'not here', lie.contentType ?? 'text/plain');
    default:
      return changed(lie, await ask(lie.kind === 'other' ? lie.path : undefined), response);
  }
}

type Changing = Exclude<Lie, { kind: 'silence' | 'empty' | 'text' | 'status' | 'redirect' }>;

async function changed(lie: Changing, answer: IncomingMessage, response: ServerResponse): Promise<void> {
  const status = answer.statusCode ?? 502;
  const type = answer.headers['content-type'] ?? 'application/octet-stream';
  const length = Number(answer.headers['content-length'] ?? Number.NaN);
  const part = { status, type };
  switch (lie.kind) {
    case 'chunked':
      return send(response, { ...part, chunks: answer });
    case 'other':
      return send(response, { ...part, chunks: answer, length });
    case 'flip':
      return send(response, { ...part, chunks: flipped(answer, lie.at < 0 ? length + lie.at : lie.at), length });
    case 'long':
      return send(response, {
        ...part,
        chunks: followed(answer, zeros(lie.bytes)),
        ...(lie.framing !== 'chunked' && { length: length + lie.bytes }),
      });
    case 'endless':
      return send(response, { ...part, chunks: followed(answer, zeros(Number.POSITIVE_INFINITY)) });
    case 'gzip':
      return send(response, { ...part, chunks: [gzipSync(await whole(answer))], encoding: 'gzip' });
    case 'range':
      return send(response, { ...part, status: 206, chunks: first(answer, lie.bytes), length: lie.bytes });
    case 'wrapped': {
      const head = Buffer.from('--lie\r\nContent-Type: application/dicom\r\n\r\n');
      const body = Buffer.concat([head, await whole(answer), Buffer.from('\r\n--lie--\r\n')]);
      const wrapping = 'multipart/related; type="application/dicom"; boundary=lie';
      return send(response, { status, type: wrapping, chunks: [body], length: body.length });
    }
    case 'short': {
      const bytes = Math.min(lie.bytes, length);
      const announced = { length: bytes, chunked: undefined, cut: length }[lie.framing ?? 'length'];
      return send(response, {
        ...part,
        chunks: first(answer, bytes, lie.framing === 'cut' ? response : undefined),
        ...(announced !== undefined && { length: announced }),
      });
    }
    case 'reset':
      return send(response, { ...part, chunks: first(answer, lie.bytes, response), length });
  }
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly chunks: AsyncIterable<Buffer> | readonly Buffer[];
  /** Default: the response is chunked. */
  readonly length?: number;
  readonly encoding?: string;
}

function sendText(response: ServerResponse, status: number, body: string, type: string): Promise<void> {
  const bytes = Buffer.from(body);
  return send(response, { status, type, chunks: [bytes], length: bytes.length });
}

async function whole(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

async function send(response: ServerResponse, { status, type, chunks, length, encoding }: Answer): Promise<void> {
  response.writeHead(status, {
    'content-type': type,
    ...(encoding !== undefined && { 'content-encoding': encoding }),
    ...(length !== undefined && Number.isFinite(length) && { 'content-length': length }),
  });
  response.flushHeaders();
  await pipeline(Readable.from(chunks, { objectMode: false }), response);
}

/** @param cut - whether the connection is reset at the end of the bytes */
async function* first(chunks: AsyncIterable<Buffer>, bytes: number, cut?: ServerResponse): AsyncGenerator<Buffer> {
  let left = bytes;
  for await (const chunk of chunks) {
    if (left > 0) yield chunk.subarray(0, left);
    left -= Math.min(left, chunk.length);
  }
  if (!cut) return;
  // Previously written data must have been sent.
  await new Promise((resolve) => setTimeout(resolve, 20));
  cut.socket?.resetAndDestroy();
}

async function* followed(chunks: AsyncIterable<Buffer>, more: Iterable<Buffer>): AsyncGenerator<Buffer> {
  yield* chunks;
  yield* more;
}

function* zeros(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= 65_536) yield Buffer.alloc(Math.min(left, 65_536));
}

async function* flipped(chunks: AsyncIterable<Buffer>, at: number): AsyncGenerator<Buffer> {
  let position = 0;
  for await (const chunk of chunks) {
    const index = at - position;
    if (index >= 0 && index < chunk.length) {
      const copy = Buffer.from(chunk);
      copy.writeUInt8(copy.readUInt8(index) ^ 0xff, index);
      yield copy;
    } else yield chunk;
    position += chunk.length;
  }
}
