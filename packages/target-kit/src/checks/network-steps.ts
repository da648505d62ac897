import { lookup } from 'node:dns/promises';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { DispatchError } from '@dicom-dispatch/core';
import { networkError } from './network-error.ts';
import type { CheckStep } from './run-checks.ts';

export interface NetworkPeer {
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  /** Present when TLS begins with the first byte. */
  readonly tls?: (() => Promise<ConnectionOptions>) | undefined;
}

/** The checks `resolve`, `connect` and, for a peer with TLS, `tls`: the first checks of every TCP target. */
export function networkSteps(peer: NetworkPeer): CheckStep[] {
  const { host, port } = peer;
  const steps: CheckStep[] = [
    { name: 'resolve', run: () => resolve(host) },
    {
      name: 'connect',
      async run(signal) {
        const socket = await opened(connectTcp({ host, port }), 'connect', peer, signal);
        const address = socket.remoteAddress ?? host;
        socket.destroy();
        return `${address} port ${port} accepts connections`;
      },
    },
  ];
  const { tls } = peer;
  if (tls) steps.push({ name: 'tls', run: async (signal) => handshake(peer, await tls(), signal) });
  return steps;
}

async function resolve(host: string): Promise<string> {
  if (isIP(host) !== 0) return `${host} is an address`;
  try {
    const addresses = await lookup(host, { all: true });
    return `${host} is ${addresses.map(({ address }) => address).join(', ')}`;
  } catch (thrown) {
    throw networkError(thrown, host);
  }
}

async function handshake(peer: NetworkPeer, options: ConnectionOptions, signal: AbortSignal): Promise<string> {
  const { host, port } = peer;
  const name = isIP(host) === 0 ? { servername: host } : {};
  const socket = connectTls({ host, port, ...name, ...options });
  await opened(socket, 'secureConnect', peer, signal);
  const certificate = socket.getPeerCertificate();
  const protocol = socket.getProtocol() ?? 'TLS';
  const checked = options.rejectUnauthorized === false ? 'certificate NOT verified' : 'certificate verified';
  socket.destroy();
  return `${protocol}, ${checked}, valid until ${certificate.valid_to || 'unknown'}`;
}

/** Waits until a socket is open; destroys it if this fails. */
async function opened<S extends Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  peer: NetworkPeer,
  signal: AbortSignal,
): Promise<S> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const limit = setTimeout(
    () =>
      reject(
        new DispatchError('target-unreachable', `${peer.host} did not respond within ${peer.timeoutMs} ms`, {
          stage: 'connect',
        }),
      ),
    peer.timeoutMs,
  );
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  socket.once(event, () => resolve());
  socket.on('error', (error) => reject(networkError(error, peer.host)));
  socket.once('close', () =>
    reject(new DispatchError('target-connection-lost', `${peer.host} closed the connection`, { stage: 'connect' })),
  );
  try {
    await promise;
    return socket;
  } catch (thrown) {
    socket.destroy();
    throw thrown;
  } finally {
    clearTimeout(limit);
    signal.removeEventListener('abort', onAbort);
  }
}
