import { DispatchError } from '@dicom-dispatch/core';
import { maxInstanceBytes } from '../http/index.ts';

export interface Part {
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Read it before the next part is requested; the rest of it is skipped. */
  readonly body: AsyncIterable<Uint8Array>;
}

const maxHeaderBytes = 16_384;
const maxPreambleBytes = 65_536;
const maxPaddingBytes = 1024;

/** The boundary of a `multipart/related` media type (RFC 2046 section 5.1.1); undefined for another type. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  if (!/^\s*multipart\//i.test(contentType ?? '')) return undefined;
  const match = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(contentType ?? '');
  return match?.[1] ?? match?.[2];
}

/**
 * The parts of a multipart body, sequentially, as they arrive; only one chunk is held in memory.
 *
 * @throws {DispatchError} `target-error` if the body is not multipart, `target-connection-lost` if it ends too early
 */
export async function* readParts(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
): AsyncGenerator<Part, void, undefined> {
  const reader = new PartReader(body, boundary);
  try {
    if (!(await reader.skipPreamble())) return;
    while (await reader.beginPart()) {
      const headers = await reader.readHeaders();
      yield { headers, body: bounded(reader.readBody()) };
      await reader.skipBody();
    }
  } finally {
    await reader.close();
  }
}

function declaredBytes(headers: ReadonlyMap<string, string>): number | undefined {
  const text = headers.get('content-length') ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** @throws {DispatchError} `target-error` if a body exceeds the maximum size of an instance */
async function* bounded(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let length = 0;
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (length > maxInstanceBytes) {
      throw new DispatchError('target-error', `a part of the response of the target exceeds ${maxInstanceBytes} bytes`);
    }
    yield chunk;
  }
}

function wrongLength(declared: number): DispatchError {
  return new DispatchError(
    'target-error',
    `a part of the response of the target does not have its declared length of ${declared} bytes`,
  );
}

/**
 * Three states: before the first delimiter, in a part (headers, then body), after the last delimiter. `#held` contains received
 * data that were not returned yet.
 */
class PartReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #boundary: Buffer;
  readonly #delimiter: Buffer;
  #held: Buffer = Buffer.alloc(0);
  #inBody = false;
  /** Declared length of the current part in bytes, if it has one. */
  #declared: number | undefined;
  #unreadBytes = 0;

  constructor(body: AsyncIterable<Uint8Array>, boundary: string) {
    this.#chunks = body[Symbol.asyncIterator]();
    this.#boundary = Buffer.from(`--${boundary}`, 'latin1');
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  }

  /** Moves to the end of the first delimiter; false if the body is empty. */
  async skipPreamble(): Promise<boolean> {
    for (;;) {
      const at = this.#held.indexOf(this.#boundary);
      if (at >= 0) {
        this.#held = this.#held.subarray(at + this.#boundary.length);
        return true;
      }
      if (this.#held.length > maxPreambleBytes) throw notMultipart('no delimiter at its beginning');
      if (await this.#more()) continue;
      if (this.#held.length === 0) return false;
      throw notMultipart('no delimiter at all');
    }
  }

  /** After a delimiter: true if a part follows, false if it was the last delimiter. */
  async beginPart(): Promise<boolean> {
    await this.#need(2);
    if (this.#held.toString('latin1', 0, 2) === '--') return false;
    const lineEnd = await this.#find('\r\n', maxPaddingBytes);
    this.#held = this.#held.subarray(lineEnd + 2);
    return true;
  }

  async readHeaders(): Promise<ReadonlyMap<string, string>> {
    await this.#need(2);
    this.#inBody = true;
    this.#declare(undefined);
    if (this.#held.toString('latin1', 0, 2) === '\r\n') {
      this.#held = this.#held.subarray(2);
      return new Map();
    }
    const end = await this.#find('\r\n\r\n', maxHeaderBytes);
    const lines = this.#held.toString('latin1', 0, end).split('\r\n');
    this.#held = this.#held.subarray(end + 4);
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    this.#declare(declaredBytes(headers));
    return headers;
  }

  #declare(bytes: number | undefined): void {
    this.#declared = bytes;
    this.#unreadBytes = bytes ?? 0;
  }

  /**
   * The body up to the next delimiter, which is consumed. A part with a declared length must have exactly this length, and may
   * contain the delimiter.
   */
  async *readBody(): AsyncGenerator<Uint8Array, void, undefined> {
    while (this.#unreadBytes > 0) {
      if (this.#held.length === 0 && !(await this.#more())) throw endedEarly();
      const chunk = this.#held.subarray(0, this.#unreadBytes);
      this.#held = this.#held.subarray(chunk.length);
      this.#unreadBytes -= chunk.length;
      yield chunk;
    }
    while (this.#inBody) {
      const delimiter = await this.#findDelimiter();
      // The end of the available data may be the beginning of a delimiter.
      const end = delimiter?.from ?? Math.max(0, this.#held.length - this.#delimiter.length + 1);
      const chunk = this.#held.subarray(0, end);
      this.#held = this.#held.subarray(delimiter?.to ?? end);
      this.#inBody = delimiter === undefined;
      if (chunk.length > 0 && this.#declared !== undefined) throw wrongLength(this.#declared);
      if (chunk.length > 0) yield chunk;
      if (this.#inBody && !(await this.#more())) throw endedEarly();
    }
  }

  /** The next delimiter in the available data. Content may begin like one: a delimiter ends its line. */
  async #findDelimiter(): Promise<{ readonly from: number; readonly to: number } | undefined> {
    let from = this.#held.indexOf(this.#delimiter);
    while (from >= 0) {
      const to = from + this.#delimiter.length;
      if ((await this.#isLastAt(to)) || (await this.#isLineEndAt(to))) return { from, to };
      from = this.#held.indexOf(this.#delimiter, from + 1);
    }
    return undefined;
  }

  /** Two hyphens at the end of the line or of all data. */
  async #isLastAt(at: number): Promise<boolean> {
    while (this.#held.length < at + 3) if (!(await this.#more())) break;
    return /^--([ \t\r\n]|$)/.test(this.#held.toString('latin1', at, at + 3));
  }

  /** Spaces may follow a delimiter (RFC 2046 section 5.1.1). */
  async #isLineEndAt(at: number): Promise<boolean> {
    for (let end = at; end < at + maxPaddingBytes; end += 1) {
      while (this.#held.length < end + 2) if (!(await this.#more())) throw endedEarly();
      const next = this.#held.toString('latin1', end, end + 2);
      if (next === '\r\n') return true;
      if (!/^[ \t]/.test(next)) return false;
    }
    return false;
  }

  async skipBody(): Promise<void> {
    for await (const _chunk of this.readBody());
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #find(text: string, maxBytes: number): Promise<number> {
    for (;;) {
      const at = this.#held.indexOf(text, 0, 'latin1');
      if (at >= 0) return at;
      if (this.#held.length > maxBytes) throw notMultipart(`a header of more than ${maxBytes} bytes`);
      if (!(await this.#more())) throw endedEarly();
    }
  }

  async #need(bytes: number): Promise<void> {
    while (this.#held.length < bytes) if (!(await this.#more())) throw endedEarly();
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    if (done) return false;
    this.#held = this.#held.length === 0 ? toBuffer(value) : Buffer.concat([this.#held, value]);
    return true;
  }
}

function toBuffer(chunk: Uint8Array): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

function notMultipart(reason: string): DispatchError {
  return new DispatchError('target-error', `the target responded with an invalid multipart body: ${reason}`);
}

function endedEarly(): DispatchError {
  return new DispatchError('target-connection-lost', 'the response of the target ended within a part');
}
