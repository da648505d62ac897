import type { TLSSocket } from 'node:tls';
import { openSocket } from './open-socket.ts';
import type { ConnectOptions } from './connect.ts';
import { DEFAULTS } from './connect.ts';

/** Result of a TLS handshake. */
export interface TlsFacts {
  /** `TLSv1.3`. */
  readonly protocol: string;
  readonly cipher: string;
  /** Whether the chain leads to a trusted authority; false only if verification was disabled. */
  readonly isTrusted: boolean;
  /** End of the validity of the peer's certificate, in the format of node. */
  readonly validTo: string | undefined;
}

/** Connects as `connect` does, up to the end of the TLS handshake, and closes. @throws DimseError as `connect`. */
export async function probeTls(
  options: Pick<ConnectOptions, 'host' | 'port' | 'tls' | 'connectTimeoutMs' | 'signal'>,
): Promise<TlsFacts> {
  const socket = (await openSocket({
    host: options.host,
    port: options.port,
    tls: options.tls ?? {},
    connectTimeoutMs: options.connectTimeoutMs ?? DEFAULTS.connectTimeoutMs,
    signal: options.signal,
  })) as TLSSocket;
  socket.on('error', () => {});
  const facts = {
    protocol: socket.getProtocol() ?? 'TLS',
    cipher: socket.getCipher().standardName,
    isTrusted: socket.authorized,
    validTo: socket.getPeerCertificate().valid_to,
  };
  socket.destroy();
  return facts;
}
