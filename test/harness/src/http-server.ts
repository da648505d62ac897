import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { createHash } from 'node:crypto';
import type { AddressInfo, Socket } from 'node:net';
import { unwatch, watch } from './watchdog.ts';

/** A received request, with its complete body. */
export interface RecordedRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** The first `keptBodyBytes` of the body. */
  readonly body: Buffer;
  readonly bodyBytes: number;
  readonly bodySha256: string;
  /** The common name of a verified client certificate, if any. */
  readonly clientName: string | undefined;
}

export type HttpHandler = (request: RecordedRequest, response: ServerResponse) => void | Promise<void>;

export interface HttpServerOptions {
  /** Maximum recorded size of each body. Default 64 MiB. */
  readonly keptBodyBytes?: number;
  /** HTTPS; with `requestClientCertificate`, a certificate signed by `ca` is requested. */
  readonly tls?: {
    readonly key: string;
    readonly cert: string;
    readonly ca?: string;
    readonly requestClientCertificate?: 'required' | 'optional';
  };
}

export interface HttpStandIn extends AsyncDisposable {
  readonly port: number;
  /** Without a trailing slash. */
  readonly url: string;
  /** All requests so far whose bodies are complete. */
  readonly requests: readonly RecordedRequest[];
  /** Replaces the handler. */
  setHandler(handler: HttpHandler): void;
  /** Resets all connections. */
  cut(): void;
  stop(): Promise<void>;
}

/**
 * An HTTP server that responds as a test defines and records the requests: for servers that no package provides. The handler runs
 * when the body has arrived; if it throws, the response is 500 with the text of the error. Destroy `response` to abort.
 */
export async function startHttpServer(handler: HttpHandler, options: HttpServerOptions = {}): Promise<HttpStandIn> {
  const requests: RecordedRequest[] = [];
  const sockets = new Set<Socket>();
  let current = handler;
  const listener: RequestListener = (message, response) => {
    void record(message, options.keptBodyBytes ?? 64 * 1024 * 1024)
      .then(async (request) => {
        requests.push(request);
        await current(request, response);
      })
      .catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
        response.end(String(error));
      });
  };
  const server = createListener(listener, options.tls);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  watch('listener', port, 'http server');

  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  async function stop(): Promise<void> {
    if (!server.listening) return;
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    for (const socket of sockets) socket.destroy();
    await closed;
    unwatch('listener', port);
  }
  return {
    port,
    url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    requests,
    setHandler: (next) => {
      current = next;
    },
    cut,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function createListener(listener: RequestListener, tls: HttpServerOptions['tls']): Server {
  if (!tls) return createServer(listener);
  const { key, cert, ca, requestClientCertificate } = tls;
  return createSecureServer(
    {
      key,
      cert,
      ...(ca === undefined ? {} : { ca }),
      requestCert: requestClientCertificate !== undefined,
      rejectUnauthorized: requestClientCertificate === 'required',
    },
    listener,
  );
}

async function record(message: IncomingMessage, keptBodyBytes: number): Promise<RecordedRequest> {
  const kept: Buffer[] = [];
  const hash = createHash('sha256');
  let bodyBytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    hash.update(chunk);
    if (bodyBytes < keptBodyBytes) kept.push(chunk.subarray(0, keptBodyBytes - bodyBytes));
    bodyBytes += chunk.length;
  }
  const url = new URL(message.url ?? '/', 'http://stand-in');
  return {
    method: message.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    headers: message.headers,
    body: Buffer.concat(kept),
    bodyBytes,
    bodySha256: hash.digest('hex'),
    clientName: clientName(message.socket),
  };
}

function clientName(socket: Socket & { authorized?: boolean; getPeerCertificate?(): unknown }): string | undefined {
  if (socket.authorized !== true) return undefined;
  const certificate = socket.getPeerCertificate?.() as { subject?: { CN?: string } } | undefined;
  return certificate?.subject?.CN;
}
