import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:tls';
import { unwatch, watch } from './watchdog.ts';

export interface TlsFront extends AsyncDisposable {
  readonly port: number;
  stop(): Promise<void>;
}

export interface TlsFrontOptions {
  /** The plain server on 127.0.0.1 behind it. */
  readonly port: number;
  readonly key: string;
  readonly cert: string;
  /** If set, a client must present a certificate that this authority signed. */
  readonly clientCa?: string;
}

/** Accepts TLS connections and forwards their bytes to a plain server, like a reverse proxy. */
export async function startTlsFront({ port: target, key, cert, clientCa }: TlsFrontOptions): Promise<TlsFront> {
  const sockets = new Set<Socket>();
  const clients = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true };
  const server = createServer({ key, cert, ...clients }, (secure) => {
    const plain = connect({ port: target, host: '127.0.0.1' });
    for (const [socket, other] of [
      [secure, plain],
      [plain, secure],
    ] as const) {
      socket.on('error', () => other.destroy());
      socket.once('close', () => other.destroySoon());
      socket.pipe(other);
    }
  });
  server.on('tlsClientError', () => undefined);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  watch('listener', port, 'TLS front');

  async function stop(): Promise<void> {
    if (!server.listening) return;
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    for (const socket of sockets) socket.destroy();
    await closed;
    unwatch('listener', port);
  }
  return { port, stop, [Symbol.asyncDispose]: stop };
}
