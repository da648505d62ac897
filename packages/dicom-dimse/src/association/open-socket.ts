import { connect as connectTcp, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { DimseError } from '../errors/dimse-error.ts';
import { translateSocketError } from '../errors/translate-socket-error.ts';
import { toSecureContext } from '../tls/tls-options.ts';
import type { TlsClientOptions } from '../tls/tls-options.ts';

export interface SocketOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsClientOptions | undefined;
  /** For name resolution, TCP and TLS together. */
  readonly connectTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Bytes that may wait in the socket before its source is paused: 1 MB keeps a link busy, and memory small. */
export const WRITE_BUFFER_BYTES = 1024 * 1024;

/**
 * Opens a TCP or TLS connection.
 *
 * @throws DimseError `connect-*`, `name-not-resolved`, `connection-closed`, `local-resources`, `tls-*`, `cancelled`.
 */
export function openSocket(options: SocketOptions): Promise<Socket> {
  const { host, port, connectTimeoutMs, signal } = options;
  const peer = `${host}:${port}`;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(new DimseError('cancelled', 'the connection was cancelled', { cause: signal.reason }));
      return;
    }
    let isTcpConnected = false;
    let socket: Socket;
    try {
      socket = options.tls === undefined ? openTcp(options) : openTls(options, options.tls);
    } catch (error) {
      reject(error instanceof DimseError ? error : translateSocketError(error as Error, peer, 'tls-material'));
      return;
    }
    const timer = setTimeout(() => {
      fail(
        new DimseError(
          'connect-timeout',
          isTcpConnected && options.tls !== undefined
            ? `${peer}: connected, but no TLS handshake within ${connectTimeoutMs} ms (connectTimeoutMs)`
            : `${peer}: not connected within ${connectTimeoutMs} ms (connectTimeoutMs)`,
        ),
      );
    }, connectTimeoutMs);
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      socket.off('close', onClose);
    };
    const fail = (error: DimseError): void => {
      settle();
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void =>
      fail(new DimseError('cancelled', 'the connection was cancelled', { cause: signal?.reason }));
    const onError = (error: Error): void => fail(duringConnect(error, peer, isTcpConnected));
    const onClose = (): void =>
      fail(
        options.tls === undefined
          ? new DimseError('connect-failed', `${peer}: connection closed before it was established`)
          : closedInHandshake(peer),
      );
    socket.on('error', onError);
    socket.on('close', onClose);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => {
      isTcpConnected = true;
    });
    socket.once(options.tls === undefined ? 'connect' : 'secureConnect', () => {
      settle();
      resolve(socket);
    });
  });
}

function openTcp({ host, port }: SocketOptions): Socket {
  const options = { host, port, noDelay: true, keepAlive: true, writableHighWaterMark: WRITE_BUFFER_BYTES };
  return connectTcp(options);
}

function openTls({ host, port }: SocketOptions, tls: TlsClientOptions): Socket {
  const servername = tls.servername ?? (isIP(host) === 0 ? host : undefined);
  const options: ConnectionOptions & { highWaterMark: number } = {
    ...toSecureContext(tls),
    host,
    port,
    ...(servername === undefined ? {} : { servername }),
    rejectUnauthorized: tls.rejectUnauthorized ?? true,
    // PS3.15 annex B: DHE with 2048 bits or more.
    minDHSize: 2048,
    ...(tls.verifyHostname === false ? { checkServerIdentity: () => undefined } : {}),
    // Not in the types, but TLSSocket passes it on to its streams.
    highWaterMark: WRITE_BUFFER_BYTES,
  };
  const socket = connectTls(options);
  socket.setNoDelay(true);
  socket.setKeepAlive(true);
  return socket;
}

/** A connection error during the handshake is a TLS error, regardless of its system code. */
function duringConnect(error: Error, peer: string, isTcpConnected: boolean): DimseError {
  if (!isTcpConnected) return translateSocketError(error, peer, 'connect-failed');
  const translated = translateSocketError(error, peer, 'tls-failed');
  if (translated.code !== 'connection-closed') return translated;
  return closedInHandshake(peer, error);
}

function closedInHandshake(peer: string, cause?: Error): DimseError {
  const text = `${peer}: the connection was closed during the TLS handshake`;
  return new DimseError('tls-closed', text, cause && { cause });
}
