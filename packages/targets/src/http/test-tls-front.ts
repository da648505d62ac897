import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';

/** A TLS front before a plain server, as a reverse proxy is, for tests. */
export interface TlsFront {
  readonly port: number;
  /** Passes nothing on any more, in either direction, until `flow`. */
  stall(): void;
  flow(): void;
  /** Resets all connections. */
  cut(): void;
  stop(): Promise<void>;
}

/** Debian's Orthanc 1.10.1 crashes at its first HTTPS request; behind this front it is reached by HTTPS all the same. */
export async function startTlsFront(backPort: number, options: TlsOptions): Promise<TlsFront> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let stalled = false;
  const server = createServer({ ...options, noDelay: true }, (front) => {
    const back = connect({ port: backPort, host: '127.0.0.1', noDelay: true });
    const pair = [front, back] as const;
    pairs.add(pair);
    const end = (): void => {
      front.destroy();
      back.destroy();
      pairs.delete(pair);
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    front.pipe(back);
    back.pipe(front);
    if (stalled) for (const socket of pair) socket.pause();
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    stall() {
      stalled = true;
      for (const [front, back] of pairs) {
        front.unpipe(back).pause();
        back.unpipe(front).pause();
      }
    },
    flow() {
      stalled = false;
      for (const [front, back] of pairs) {
        front.pipe(back);
        back.pipe(front);
      }
    },
    cut() {
      for (const [front, back] of pairs) {
        front.resetAndDestroy?.();
        back.destroy();
      }
    },
    async stop() {
      for (const [front, back] of pairs) {
        front.destroy();
        back.destroy();
      }
      server.close();
      await once(server, 'close');
    },
  };
}
