import { Readable } from 'node:stream';
import { DispatchError } from '@dicom-dispatch/core';
import { Agent, type Dispatcher } from 'undici';
import { cancelledError, throwIfCancelled } from '@dicom-dispatch/target-kit/flow';
import { authorizerOf, type Authorizer } from './authorizer.ts';
import { HttpAnswer } from './http-answer.ts';
import type { HttpOptions } from './http-options.ts';
import { networkError } from '@dicom-dispatch/target-kit/checks';
import { ProgressTimeout } from './progress-timeout.ts';
import { inPieces, startBody } from './pieces.ts';
import { tlsOptions } from './tls-files.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Appended to the configured URL, or an absolute URL with http:// or https://. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Creates the body. Called again if the request is repeated: after a token was renewed or a connection was lost. */
  readonly body?: () => string | AsyncIterable<Uint8Array>;
  /** Length of the body, for Content-Length. Without it a streamed body has chunked transfer coding. */
  readonly bodyBytes?: number | undefined;
  /** Repeat once if the connection is lost before a response. Default: for GET. */
  readonly repeat?: boolean;
  readonly signal: AbortSignal;
}

export interface HttpConnectionOptions {
  /** Maximum number of sockets. */
  readonly connections: number;
}

/**
 * Connections to one target for the duration of one run: keep-alive sockets, credentials, TLS, timeouts. HTTP/1.1, because proxies lose
 * requests of long HTTP/2 connections.
 */
export class HttpConnection {
  readonly #options: HttpOptions;
  readonly #agent: Agent;
  readonly #authorizer: Authorizer;

  private constructor(options: HttpOptions, agent: Agent) {
    this.#options = options;
    this.#agent = agent;
    this.#authorizer = authorizerOf(options.auth, agent);
  }

  /** Reads the certificates; the first request connects. */
  static async open(options: HttpOptions, { connections }: HttpConnectionOptions): Promise<HttpConnection> {
    const tls = await tlsOptions(options.tls);
    const agent = new Agent({
      connections,
      pipelining: 1,
      allowH2: false,
      connect: { timeout: options.connectTimeout, ...tls },
      // Our own ProgressTimeout detects stalls: undici's limit would end a slow upload as well.
      headersTimeout: 0,
      bodyTimeout: 0,
      // Orthanc sends `timeout=1`; with the default threshold of a second its sockets would never be reused.
      keepAliveTimeoutThreshold: 100,
    });
    return new HttpConnection(options, agent);
  }

  /** Host and port, for messages. */
  get host(): string {
    return new URL(this.#options.url).host;
  }

  /**
   * Sends one request. Any status is a response; the caller checks it, and must read or discard its body.
   *
   * @throws {DispatchError} if there is no response: unreachable, TLS, lost, stalled, cancelled; or errors of the body
   */
  async request(request: HttpRequest): Promise<HttpAnswer> {
    const first = await this.#authorizer.header(request.signal);
    const answer = await this.#withRepeat(request, first);
    if ((answer.status !== 401 && answer.status !== 403) || first === undefined) return answer;
    if (!(await this.#authorizer.renew(first, request.signal))) return answer;
    await answer.discard();
    return this.#withRepeat(request, await this.#authorizer.header(request.signal));
  }

  /** Prepares the credentials without using them: requests a token if needed. */
  async authorize(signal: AbortSignal): Promise<void> {
    await this.#authorizer.header(signal);
  }

  /** Ends all sockets. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #withRepeat(request: HttpRequest, authorization: string | undefined): Promise<HttpAnswer> {
    try {
      return await this.#send(request, authorization);
    } catch (thrown) {
      const mayRepeat = request.repeat ?? request.method === 'GET';
      const lost = thrown instanceof DispatchError && thrown.code === 'target-connection-lost';
      if (!mayRepeat || !lost || request.signal.aborted) throw thrown;
      // The peer may have closed a keep-alive socket.
      return this.#send(request, authorization);
    }
  }

  async #send(request: HttpRequest, authorization: string | undefined): Promise<HttpAnswer> {
    throwIfCancelled(request.signal);
    const { url, timeout, minBytesPerSecond } = this.#options;
    const address = new URL(/^https?:\/\//.test(request.path) ? request.path : `${url}${request.path}`);
    const silent = new AbortController();
    const progressTimeout = new ProgressTimeout({ silenceMs: timeout, minBytesPerSecond }, (why, afterMs) => {
      const words =
        why === 'silent'
          ? `was silent for ${afterMs} ms`
          : `moves less than ${minBytesPerSecond} bytes a second (minBytesPerSecond)`;
      silent.abort(new DispatchError('target-timeout', `${address.host} ${words}`));
    });
    const body = request.body?.();
    const pieces = typeof body === 'string' || !body ? undefined : inPieces(body, progressTimeout, request.bodyBytes);
    const headers: Record<string, string> = { ...this.#headers(authorization), ...request.headers };
    if (pieces && request.bodyBytes !== undefined) headers['content-length'] = String(request.bodyBytes);
    const options: Dispatcher.RequestOptions = {
      origin: address.origin,
      path: `${address.pathname}${address.search}`,
      method: request.method,
      headers,
      body: (body as string | undefined) ?? null,
      signal: AbortSignal.any([request.signal, silent.signal]),
    };
    let started: Awaited<ReturnType<typeof startBody>> | undefined;
    try {
      if (pieces) {
        // undici sends the headers with the first bytes: an idle socket that waited for them might be closed by the peer meanwhile.
        started = await startBody(pieces.body);
        options.body = Readable.from(started, { objectMode: true, highWaterMark: 1 });
      }
      progressTimeout.start();
      const data = await this.#agent.request(options);
      progressTimeout.pause();
      // A rejection may arrive early; a success must be a response to the complete body.
      if (pieces && !pieces.isWhole && data.statusCode < 300) {
        data.body.on('error', () => {}).destroy();
        throw early(address.host, data.statusCode);
      }
      return new HttpAnswer(data, address.host, progressTimeout, { run: request.signal, silent: silent.signal });
    } catch (thrown) {
      progressTimeout.pause();
      void started?.return().catch(() => {});
      if (request.signal.aborted) throw cancelledError(request.signal);
      if (pieces?.failure !== undefined) throw pieces.failure;
      silent.signal.throwIfAborted();
      throw this.#hinted(networkError(thrown, address.host), address);
    }
  }

  /** Adds a remedy: some servers that require a client certificate close the connection without a TLS alert. */
  #hinted(error: DispatchError, address: URL): DispatchError {
    const certain = error.code !== 'target-connection-lost' || address.protocol !== 'https:';
    if (certain || this.#options.tls?.cert !== undefined) return error;
    const remedy = `${error.remedy} If the server requires a client certificate, configure tls.cert and tls.key.`;
    return new DispatchError(error.code, error.message, { cause: error.cause, remedy });
  }

  #headers(authorization: string | undefined): Record<string, string> {
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    for (const [name, value] of Object.entries(this.#options.headers)) {
      headers[name.toLowerCase()] = typeof value === 'string' ? value : value.reveal();
    }
    if (authorization !== undefined) headers['authorization'] = authorization;
    return headers;
  }
}

function early(host: string, status: number): DispatchError {
  const text = `${host} answered ${status} before it had received the whole request, so nothing is confirmed`;
  return new DispatchError('target-connection-lost', text, {
    remedy: 'Check the log of the target and of any proxy in front of it: it does not read requests completely.',
  });
}
