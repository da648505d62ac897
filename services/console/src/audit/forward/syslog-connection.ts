import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { connect, type TLSSocket } from 'node:tls';
import type { AuditSyslogConfig } from '@dicom-dispatch/core';

const connectMs = 10_000;
const writeMs = 10_000;
/** Facility 10 (security), severity 5 (notice): PS3.15 A.6. */
const priority = 85;
const messageId = 'DICOM+RFC3881';

/** A syslog message (RFC 5424) preceded by its length (RFC 5425, octet counting). */
export function syslogFrame(text: string, at: number, appName = 'dicom-dispatch'): Buffer {
  const header = `<${priority}>1 ${new Date(at).toISOString()} ${hostname()} ${appName} ${process.pid} ${messageId} -`;
  // The byte order mark shows that the text is UTF-8 (RFC 5424, section 6.4).
  const message = Buffer.from(`${header} \ufeff${text}`);
  return Buffer.concat([Buffer.from(`${message.length} `), message]);
}

/** A connection to a syslog server over TLS. */
export class SyslogConnection {
  readonly #socket: TLSSocket;
  #failure: Error | undefined;

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on('error', (error) => (this.#failure = error));
    socket.on('close', () => (this.#failure ??= new Error('the receiver has closed the connection')));
    // No data are expected from the server.
    socket.resume();
  }

  static async open({ host, port, tls }: AuditSyslogConfig): Promise<SyslogConnection> {
    const file = async (path: string | undefined): Promise<Buffer | undefined> =>
      path === undefined ? undefined : readFile(path);
    const [ca, cert, key] = await Promise.all([file(tls.ca), file(tls.cert), file(tls.key)]);
    const socket = connect({
      host,
      port,
      servername: tls.serverName ?? (/^[\d.]+$|:/.test(host) ? '' : host),
      minVersion: 'TLSv1.2',
      timeout: connectMs,
      ...(ca && { ca }),
      ...(cert && { cert }),
      ...(key && { key }),
      ...(tls.passphrase && { passphrase: tls.passphrase.reveal() }),
    });
    const connection = new SyslogConnection(socket);
    try {
      await once(socket, 'secureConnect', { signal: AbortSignal.timeout(connectMs) });
      socket.setTimeout(0);
      return connection;
    } catch (error) {
      socket.destroy();
      throw connection.#failure ?? error;
    }
  }

  /** Whether there was no error so far: the protocol has no acknowledgements. */
  get isAlive(): boolean {
    return this.#failure === undefined && this.#socket.writable;
  }

  /** Writes a message to the network. @throws if the connection is lost, or the receiver does not accept data */
  async send(text: string, at: number): Promise<void> {
    if (this.#failure) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error('the receiver does not accept data')), writeMs);
    this.#socket.write(syslogFrame(text, at), (error) => (error ? reject(error) : resolve()));
    await promise.finally(() => clearTimeout(timer));
  }

  close(): void {
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), 1_000).unref();
  }
}
