import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { DimseError } from '../errors/dimse-error.ts';
import { translateSocketError } from '../errors/translate-socket-error.ts';
import { DEFAULTS } from '../association/connect.ts';
import type { AssociationCore } from '../association/association-core.ts';
import { toSecureContext } from '../tls/tls-options.ts';
import { WRITE_BUFFER_BYTES } from '../association/open-socket.ts';
import { acceptAssociation } from './accept-association.ts';
import type { AcceptorOptions } from './accept-association.ts';
import type { TlsServerOptions } from '../tls/tls-options.ts';

export interface ServerOptions extends AcceptorOptions {
  readonly tls?: TlsServerOptions | undefined;
  /** More associations than these are rejected with local-limit-exceeded. Default 100. */
  readonly maxAssociations?: number | undefined;
  /** Called for failed TLS handshakes. */
  readonly onConnectionError?: ((error: DimseError) => void) | undefined;
}

/** A DICOM application entity that accepts associations. */
export interface DimseServer {
  /** Starts to listen; port 0 uses any free port. @throws DimseError `connect-failed` if the port is in use. */
  listen(where: { readonly port: number; readonly host?: string | undefined }): Promise<AddressInfo>;
  /** Where it listens. */
  readonly address: AddressInfo | undefined;
  readonly associationCount: number;
  /** The listening socket alone does not keep the process running; open associations still do. */
  unref(): void;
  /** Accepts no more associations and waits for open ones; after `graceMs` (default 0) aborts them. */
  close(options?: { readonly graceMs?: number | undefined }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Creates a server: C-ECHO is answered, everything else is passed to the given handlers.
 *
 * @throws DimseError `tls-material`, `invalid-argument` for unusable `tls` options.
 */
export function createServer(options: ServerOptions): DimseServer {
  const cores = new Set<AssociationCore>();
  const sockets = new Set<Socket>();

  const onSocket = (socket: Socket): void => {
    const isFull = cores.size >= (options.maxAssociations ?? 100);
    const core = acceptAssociation(socket, options, isFull);
    cores.add(core);
    core.whenEnded(() => cores.delete(core));
  };

  const server = open(options, onSocket);
  // With TLS this is the underlying socket, which may never complete a handshake.
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', (error: Error, socket: Socket) => {
    options.onConnectionError?.(translateSocketError(error, socket.remoteAddress ?? 'client', 'tls-failed'));
  });

  const close = async (graceMs: number): Promise<void> => {
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    const all = Promise.all([...cores].map((core) => core.ended));
    if (graceMs > 0 && cores.size > 0) {
      let timer: NodeJS.Timeout | undefined;
      const grace = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, graceMs);
      });
      await Promise.race([all, grace]);
      clearTimeout(timer);
    }
    for (const core of cores) core.abort(new DimseError('association-ended', 'the server was closed'));
    for (const socket of sockets) socket.destroySoon();
    const lingering = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, 1000);
    await closed;
    clearTimeout(lingering);
  };

  return {
    listen: ({ port, host }) =>
      new Promise((resolve, reject) => {
        const onError = (cause: Error): void =>
          reject(new DimseError('connect-failed', `cannot listen on ${host ?? '*'}:${port}`, { cause }));
        server.once('error', onError);
        server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
          server.off('error', onError);
          resolve(server.address() as AddressInfo);
        });
      }),
    get address() {
      return (server.address() as AddressInfo | null) ?? undefined;
    },
    get associationCount() {
      return cores.size;
    },
    unref: () => void server.unref(),
    close: (closing = {}) => close(closing.graceMs ?? 0),
    [Symbol.asyncDispose]: () => close(0),
  };
}

function open(options: ServerOptions, onSocket: (socket: Socket) => void): Server {
  if (options.tls === undefined) {
    return createTcpServer({ noDelay: true, keepAlive: true, highWaterMark: WRITE_BUFFER_BYTES }, onSocket);
  }
  const { tls } = options;
  try {
    return createTlsServer(
      {
        ...toSecureContext(tls),
        // Parameters of the strength of our key, or DHE suites could not be used.
        dhparam: 'auto',
        handshakeTimeout: options.artimTimeoutMs ?? DEFAULTS.artimTimeoutMs,
        requestCert: tls.requestCert ?? tls.ca !== undefined,
        rejectUnauthorized: tls.requestCert ?? tls.ca !== undefined,
        noDelay: true,
        keepAlive: true,
      },
      onSocket,
    );
  } catch (error) {
    if (error instanceof DimseError) throw error;
    throw translateSocketError(error as Error, 'tls', 'tls-material');
  }
}
