import { Readable } from 'node:stream';

import type { z } from 'zod';

import type { ResolvedOptions } from '../client-options.ts';
import { GetPool } from '../fast-get/get-pool.ts';
import { OrthancError } from '../orthanc-error.ts';
import { translateAbort, translateError } from '../translate-error.ts';
import type { CallName } from '../translate-error.ts';
import { answerError, maxErrorBytes } from './answer-error.ts';
import { expectDicom } from './expect-dicom.ts';
import { endlessInterims, maxInterims } from './interims.ts';
import { pacedDown, pacedUp } from './pace.ts';
import type { PaceOptions } from './pace.ts';
import type { Target } from './path.ts';
import { readBounded, readStart } from './read-bounded.ts';
import { retryRead } from './retry.ts';
import { openPool, requestOf } from './undici-pool.ts';
import type { Dispatcher, Pool } from './undici-pool.ts';

/** Options of every call. */
export interface CallOptions {
  /** Cancels the call, and the reading of the returned body. */
  signal?: AbortSignal | undefined;
  /** Maximum time without data for this call, instead of the client's `timeoutMs`. Checked at least once a second. */
  timeoutMs?: number | undefined;
  /** Added to the timeout until the response begins: Orthanc reads a file completely before it sends the first byte. */
  preparationMs?: number | undefined;
}

/** A body to send. A function can be called again, so its call may be repeated; a stream can be sent only once. */
export type UploadBody = Uint8Array | AsyncIterable<Uint8Array> | (() => AsyncIterable<Uint8Array>);

export interface Request {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  target: Target;
  /** Value that is sent as JSON. */
  json?: unknown;
  /** Bytes or text that are sent as they are. */
  body?: UploadBody | string;
  /** Length of `body` if it is a stream of known length. */
  bodyBytes?: number | undefined;
  headers?: Readonly<Record<string, string>>;
  /** Whether it may be sent twice: then it is repeated after a reset, or a 503 or 429 with `Retry-After`. Default: only GET. */
  idempotent?: boolean;
  options: CallOptions | undefined;
}

/** A body to read, once. Leaving it early ends its connection; a failure during the transfer throws an OrthancError. */
export interface ByteStream {
  /** Size of the body, if the server announced it. */
  sizeBytes: number | undefined;
  /** Media type according to the server. */
  contentType: string | undefined;
  /** Every chunk has separate memory: it may be kept, queued or changed. */
  body: AsyncIterableIterator<Uint8Array>;
}

/** A body from the fast path. */
export interface FileStream extends ByteStream {
  /**
   * Releases the memory of a chunk for reuse: for a reader that moves hundreds of megabytes a second. Only for chunks of this
   * body, and only once nothing refers to them any more (a socket has called back). Optional.
   */
  release(chunk: Uint8Array): void;
}

interface Answer {
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: AsyncIterable<Uint8Array>;
}

/** All ways to send requests to Orthanc. It owns the connections of one client, until `close`. */
export class Transport {
  readonly options: ResolvedOptions;
  readonly #fast: GetPool;
  /** For whole responses of reads: a request must not wait for files that its caller reads. */
  readonly #whole: GetPool;
  readonly #release = (chunk: Uint8Array): void => this.#fast.blocks.release(chunk);
  readonly #kept: Pool;
  /**
   * An idle connection can be closed during a request, and a request that must not be sent twice cannot be repeated: so each
   * uses a new one.
   */
  readonly #once: Pool;

  constructor(options: ResolvedOptions) {
    this.options = options;
    this.#fast = new GetPool(options);
    this.#whole = new GetPool(options);
    const connect = { ...options.tls, timeout: options.connectTimeoutMs };
    const common: Pool.Options = {
      connections: options.maxConnections,
      connect,
      allowH2: false,
      headersTimeout: options.timeoutMs,
      bodyTimeout: options.timeoutMs,
      // Orthanc keeps idle connections for 1 s; with undici's margin of 1 s none would be reused.
      keepAliveTimeoutThreshold: 100,
    };
    this.#kept = openPool(options.origin, common);
    this.#once = openPool(options.origin, { ...common, pipelining: 0 });
  }

  /** @throws OrthancError `protocol` if the response is not JSON or lacks fields of `schema`. */
  async json<S extends z.ZodType>(schema: S, request: Request): Promise<z.output<S>> {
    const call = nameOf(request);
    return parseJson(schema, await this.bytes(request, this.options.maxJsonBytes), call);
  }

  async text(request: Request): Promise<string> {
    return (await this.bytes(request, this.options.maxJsonBytes)).toString('utf8');
  }

  /** The complete response, of at most `limitBytes`. */
  async bytes(request: Request, limitBytes: number): Promise<Buffer> {
    if (!isFast(request)) return (await this.whole(request, limitBytes)).body;
    const { target, json, options } = request;
    const call = nameOf(request);
    const retry = { onReset: true, maxRetryAfterMs: this.options.maxRetryAfterMs, signal: options?.signal };
    return retryRead(call, retry, async (anew) => {
      const wanted = { ...options, json, anew, repeats: 0 };
      const { head, body } = await this.#whole.get(call, target.path + target.query, wanted);
      if (head.status >= 200 && head.status < 300) return readBounded(body, limitBytes, call);
      throw answerError(call, head.status, await readStart(body, maxErrorBytes), head.headers.get('retry-after'));
    });
  }

  /** The complete response with its header fields. */
  whole(request: Request, limitBytes: number): Promise<{ headers: Answer['headers']; body: Buffer }> {
    const call = nameOf(request);
    return this.#repeat(request, async (pool) => {
      const answer = await this.#exchange(request, call, pool);
      const body = await readBounded(this.#body(answer, request, call), limitBytes, call);
      return { headers: answer.headers, body };
    });
  }

  /** The response as a stream, for a body that may be large. */
  async stream(request: Request): Promise<ByteStream> {
    const call = nameOf(request);
    const answer = await this.#repeat(request, (pool) => this.#exchange(request, call, pool));
    return {
      sizeBytes: parseLength(headerOf(answer.headers, 'content-length')),
      contentType: headerOf(answer.headers, 'content-type'),
      body: this.#body(answer, request, call),
    };
  }

  /**
   * A response that must be a DICOM file.
   *
   * @throws OrthancError `protocol` for a page of a proxy, `unsupported` if Orthanc returns an empty file
   */
  async dicom(request: Request): Promise<ByteStream> {
    return expectDicom(await this.stream(request), nameOf(request));
  }

  /** A DICOM file on the fast path; as `dicom`. */
  async fastDicom(target: Target, options: CallOptions | undefined): Promise<FileStream> {
    return expectDicom(await this.fastGet(target, options), { method: 'GET', path: target.path });
  }

  /** A GET on the fast path: for files. */
  async fastGet(target: Target, options: CallOptions | undefined): Promise<FileStream> {
    const call: CallName = { method: 'GET', path: target.path };
    const signal = options?.signal;
    const retry = { onReset: false, maxRetryAfterMs: this.options.maxRetryAfterMs, signal };
    return retryRead(call, retry, async () => {
      const { head, body } = await this.#fast.get(call, target.path + target.query, options ?? {});
      if (head.status !== 200) {
        const start = await readStart(body, maxErrorBytes);
        throw answerError(call, head.status, start, head.headers.get('retry-after'));
      }
      const sizeBytes = head.framing.kind === 'length' ? head.framing.lengthBytes : undefined;
      return { sizeBytes, contentType: head.headers.get('content-type'), body, release: this.#release };
    });
  }

  /** Ends all connections; running calls fail as cancelled. */
  async close(): Promise<void> {
    this.#fast.close();
    this.#whole.close();
    await Promise.all([this.#kept.destroy(), this.#once.destroy()]);
  }

  /** The timeout of a call is also the averaging period of its rate. */
  #pace(options: CallOptions | undefined): PaceOptions {
    const { minBytesPerSecond, timeoutMs } = this.options;
    return { minBytesPerSecond, windowMs: options?.timeoutMs ?? timeoutMs };
  }

  #body(answer: Answer, request: Request, call: CallName): AsyncGenerator<Uint8Array, undefined> {
    return translated(pacedDown(answer.body, this.#pace(request.options), call), call, request.options?.signal);
  }

  #repeat<T>(request: Request, attempt: (pool: Pool) => Promise<T>): Promise<T> {
    if (!isRepeatable(request)) return attempt(this.#once);
    const { maxRetryAfterMs } = this.options;
    const retry = { onReset: true, maxRetryAfterMs, signal: request.options?.signal };
    return retryRead(nameOf(request), retry, (anew) => attempt(anew ? this.#once : this.#kept));
  }

  async #exchange(request: Request, call: CallName, pool: Pool): Promise<Answer> {
    const { signal, timeoutMs = this.options.timeoutMs, preparationMs = 0 } = request.options ?? {};
    if (signal?.aborted === true) throw translateAbort(signal.reason, call);
    let answer: Dispatcher.ResponseData;
    let interims = 0;
    try {
      answer = await requestOf(pool, {
        method: request.method,
        path: `${this.options.prefix}${request.target.path}${request.target.query}`,
        ...bodyOf(request, call, this.#pace(request.options), this.options.headers),
        ...(signal === undefined ? {} : { signal }),
        // Limited, because each interim response restarts the timeout.
        onInfo: () => {
          interims += 1;
          if (interims > maxInterims) throw endlessInterims(call);
        },
        headersTimeout: timeoutMs + preparationMs,
        bodyTimeout: timeoutMs,
      });
    } catch (error) {
      throw translateFailure(error, call, signal);
    }
    if (answer.statusCode >= 200 && answer.statusCode < 300) return { headers: answer.headers, body: answer.body };
    const start = await readStart(answer.body, maxErrorBytes);
    throw answerError(call, answer.statusCode, start, headerOf(answer.headers, 'retry-after'));
  }
}

/** Reads `bytes` as JSON of a given shape. */
export function parseJson<S extends z.ZodType>(schema: S, bytes: Buffer, call: CallName): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    // Without the cause: it would quote the response.
    const text = bytes.length === 0 ? 'the answer is empty, but JSON is expected' : 'the answer is not JSON';
    throw new OrthancError('protocol', `${call.method} ${call.path}: ${text}; check what answers at url`, {
      ...call,
      status: 200,
    });
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? 'the answer' : issue.path.map(String).join('.');
  throw new OrthancError('protocol', `${call.method} ${call.path}: ${where}: ${issue?.message ?? 'not understood'}`, {
    ...call,
    status: 200,
  });
}

export function headerOf(headers: Answer['headers'], name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function nameOf(request: Request): CallName {
  return { method: request.method, path: request.target.path };
}

function isRepeatable(request: Request): boolean {
  if (!(request.idempotent ?? request.method === 'GET')) return false;
  return !isStream(request.body);
}

/** Whether a request can use a `GetPool`, which costs half of undici. */
function isFast({ method, json, body, headers, idempotent }: Request): boolean {
  if (headers !== undefined || body !== undefined) return false;
  return json === undefined ? method === 'GET' : method === 'POST' && idempotent === true;
}

function isStream(body: Request['body']): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && !(body instanceof Uint8Array);
}

function bodyOf(
  request: Request,
  call: CallName,
  pace: PaceOptions,
  common: Readonly<Record<string, string>>,
): { headers: Record<string, string>; body?: string | Uint8Array | Readable } {
  const headers: Record<string, string> = { ...common, ...request.headers };
  if (request.json !== undefined) {
    headers['content-type'] = 'application/json';
    return { headers, body: JSON.stringify(request.json) };
  }
  const { body } = request;
  if (body === undefined) return { headers };
  if (typeof body === 'string' || body instanceof Uint8Array) return { headers, body };
  if (request.bodyBytes !== undefined) headers['content-length'] = String(request.bodyBytes);
  const chunks = pacedUp(typeof body === 'function' ? body() : body, pace, call);
  return { headers, body: Readable.from(chunks, { objectMode: false }) };
}

async function* translated(
  body: AsyncIterable<Uint8Array>,
  call: CallName,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, undefined> {
  try {
    yield* body;
  } catch (error) {
    throw translateFailure(error, call, signal);
  }
}

function translateFailure(error: unknown, call: CallName, signal: AbortSignal | undefined): OrthancError {
  return signal?.aborted === true ? translateAbort(signal.reason, call) : translateError(error, call);
}

function parseLength(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
