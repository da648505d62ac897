import { Redis } from 'ioredis';
import { isInstalled } from './is-installed.ts';
import { startServer } from './start-server.ts';
import type { RunningServer } from './start-server.ts';

export interface RedisOptions {
  /** Append-only persistence. Default true. */
  readonly appendonly?: boolean;
  /**
   * Default `no`: acknowledged data survive a kill, since they are written before the response, but not a crash of the machine.
   * With `everysec` a kill may lose the last seconds while the disk is busy.
   */
  readonly appendfsync?: 'always' | 'everysec' | 'no';
  readonly password?: string;
  /** Default `noeviction`. */
  readonly maxmemoryPolicy?: string;
  /** Additional arguments: `['--maxmemory', '10mb']`. */
  readonly args?: readonly string[];
  /** Opens a second port that uses TLS and requires a client certificate. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly caFile: string };
  /** Default `DICOM_DISPATCH_TEST_REDIS`, otherwise `redis-server`, or `valkey-server` if only that is installed. */
  readonly program?: 'redis-server' | 'valkey-server';
}

export interface RedisServer extends RunningServer {
  readonly host: string;
  readonly port: number;
  /** `redis://…`, with the password if there is one. */
  readonly url: string;
  /** Runs one command on a separate connection. */
  command(name: string, ...args: (string | number)[]): Promise<unknown>;
}

/** A separate, empty Redis. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const auth = options.password ? `:${encodeURIComponent(options.password)}@` : '';
  const server = await startServer({
    name: 'redis',
    portCount: options.tls ? 2 : 1,
    prepare: (folder, [port, tlsPort]) => ({
      command: redisProgram(options),
      args: [...redisArguments(folder, port!, options), ...tlsArguments(options.tls, tlsPort)],
      cwd: folder,
    }),
    isReady: async ([port]) => (await redisCommand(`redis://${auth}127.0.0.1:${port}`, 'PING')) === 'PONG',
  });
  const port = server.ports[0]!;
  const url = `redis://${auth}127.0.0.1:${port}`;
  return { ...server, host: '127.0.0.1', port, url, command: (name, ...args) => redisCommand(url, name, ...args) };
}

export function redisProgram({ program }: Pick<RedisOptions, 'program'>): string {
  const wanted = program ?? process.env['DICOM_DISPATCH_TEST_REDIS'];
  if (wanted) return wanted;
  return !isInstalled('redis-server') && isInstalled('valkey-server') ? 'valkey-server' : 'redis-server';
}

export function redisArguments(folder: string, port: number, options: RedisOptions): string[] {
  const settings = {
    '--port': String(port),
    '--bind': '127.0.0.1',
    '--dir': folder,
    '--save': '',
    '--appendonly': options.appendonly === false ? 'no' : 'yes',
    '--appendfsync': options.appendfsync ?? 'no',
    '--maxmemory-policy': options.maxmemoryPolicy ?? 'noeviction',
    ...(options.password ? { '--requirepass': options.password } : {}),
  };
  return [...Object.entries(settings).flat(), ...(options.args ?? [])];
}

function tlsArguments(tls: RedisOptions['tls'], port: number | undefined): string[] {
  if (!tls) return [];
  const files = ['--tls-cert-file', tls.certFile, '--tls-key-file', tls.keyFile, '--tls-ca-cert-file', tls.caFile];
  return ['--tls-port', String(port), ...files, '--tls-auth-clients', 'yes'];
}

/** Runs one command on a separate connection; fails immediately if nothing listens. */
export async function redisCommand(url: string, name: string, ...args: (string | number)[]): Promise<unknown> {
  const client = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: 60_000,
    enableReadyCheck: false,
  });
  let refusal: Error | undefined;
  client.on('error', (error: Error) => {
    refusal = error;
  });
  try {
    await client.connect();
    return await client.call(name, ...args);
  } catch (error) {
    // ioredis reports "Connection is closed" although the server reported the reason before.
    throw refusal ?? error;
  } finally {
    client.disconnect();
  }
}
