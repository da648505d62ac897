import { spawn, type ChildProcess } from 'node:child_process';
import { access, constants, mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, delimiter, join, resolve } from 'node:path';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

/** The embedded Redis, for a single machine: a child process that stores its data in a folder. */
export interface EmbeddedRedis {
  readonly url: string;
  stop(): Promise<void>;
}

export class EmbeddedRedisError extends Error {
  override readonly name = 'EmbeddedRedisError';
}

const programs = ['redis-server', 'valkey-server'] as const;

export interface EmbeddedRedisTimeouts {
  /**
   * How long one that already runs may take to respond; while it loads its file, it responds that it is loading.
   * Default 10,000.
   */
  readonly answerWithinMs?: number;
  /** How long it may take to write its data to disk, before it is killed. Default 10,000. */
  readonly endWithinMs?: number;
}

const answerWithinMs = 10_000;
const endWithinMs = 10_000;
const lookWithinMs = 2_000;
const killedWithinMs = 2_000;
const lookAgainMs = 50;

/** @throws EmbeddedRedisError when no Redis is installed that could be started */
export async function needEmbeddedRedis(): Promise<void> {
  if (!(await findProgram(programs))) throw notInstalled();
}

function notInstalled(): EmbeddedRedisError {
  return new EmbeddedRedisError(
    'no redis.url is configured, and neither redis-server nor valkey-server is installed: set redis.url, or install one (apt-get install redis-server)',
  );
}

/** `sun_path` of unix(7), without the terminating zero. */
const longestSocket = 107;

/**
 * Starts `redis-server` or `valkey-server` with append-only persistence on a Unix socket in `dataFolder`, so that no
 * port is used and nobody else on the network can reach it. The program that wrote the data is preferred while it is
 * installed: Redis 7.0 rejects files of Valkey 8.
 *
 * @throws EmbeddedRedisError if neither program is installed, or it does not start
 * @throws the reason of `signal`; nothing is left running then
 */
export async function startEmbeddedRedis(
  dataFolder: string,
  signal: AbortSignal = new AbortController().signal,
  timeouts: EmbeddedRedisTimeouts = {},
): Promise<EmbeddedRedis> {
  const folder = resolve(dataFolder, 'redis');
  const writer = join(folder, 'program');
  const wrote = await readFile(writer, 'utf8').catch(() => '');
  const program = await findProgram(programs.toSorted((a, b) => Number(b === wrote) - Number(a === wrote)));
  if (!program) throw notInstalled();
  const socket = join(folder, 'redis.sock');
  const length = Buffer.byteLength(socket);
  if (length > longestSocket) {
    throw new EmbeddedRedisError(
      `redis.dataFolder: the socket ${socket} would have a name of ${length} bytes, and the system allows at most ${longestSocket}: use a folder with a shorter path`,
    );
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const url = `unix://${socket}`;
  // Two instances with the same files would damage them: one that a killed process of ours left behind is used.
  if ((await untilKnown(socket, timeouts.answerWithinMs ?? answerWithinMs, signal)) === 'answers')
    return { url, stop: () => stopIfAlone(socket) };
  // prettier-ignore
  const child = spawn(program, [
    '--port', '0', '--unixsocket', socket, '--unixsocketperm', '700', '--dir', folder, '--daemonize', 'no',
    '--appendonly', 'yes', '--appendfsync', 'everysec', '--save', '', '--maxmemory-policy', 'noeviction', '--loglevel', 'warning',
    // The record of a delivery then takes half the memory. The name is that of Redis 6; later ones have kept it.
    '--hash-max-ziplist-value', '1024',
  ], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  const killWithUs = (): void => void child.kill('SIGTERM');
  process.once('exit', killWithUs);
  const stop = async (): Promise<void> => {
    try {
      await endProcess(child, timeouts.endWithinMs ?? endWithinMs);
    } finally {
      process.off('exit', killWithUs);
    }
  };
  try {
    await untilReady(child, socket, output, signal);
    await writeFile(writer, basename(program));
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

/**
 * The address of the embedded Redis that runs on a data folder, started by any process; undefined if there is none. One
 * that runs without responding counts as well.
 */
export async function findEmbeddedRedis(dataFolder: string): Promise<string | undefined> {
  const socket = join(resolve(dataFolder, 'redis'), 'redis.sock');
  return (await look(socket, lookWithinMs)) === 'absent' ? undefined : `unix://${socket}`;
}

/** @throws EmbeddedRedisError if it had to be killed */
async function endProcess(child: ChildProcess, withinMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit').then(() => true);
  child.kill('SIGTERM');
  if (await Promise.race([exited, sleep(withinMs, false, { ref: false })])) return;
  child.kill('SIGKILL');
  await Promise.race([exited, sleep(killedWithinMs, false, { ref: false })]);
  throw new EmbeddedRedisError(`Redis did not end within ${withinMs / 1_000} s and was killed`);
}

/**
 * State of a socket: `absent`, nothing listens; `loading`, it rejects commands; `silent`, it only accepts connections.
 */
type Seen = 'absent' | 'loading' | 'silent' | 'answers';

/** Sends PING without a client library: only the first character of the response matters. */
function look(socket: string, withinMs: number): Promise<Seen> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    const seen = (what: Seen): void => {
      connection.destroy();
      resolve(what);
    };
    connection.setTimeout(withinMs, () => seen('silent'));
    connection.once('connect', () => connection.write('PING\r\n'));
    connection.once('data', (answer: Buffer) =>
      seen(answer.toString('latin1').startsWith('+') ? 'answers' : 'loading'),
    );
    connection.once('error', ({ code }: NodeJS.ErrnoException) =>
      // Any other error comes from a running server.
      seen(code === 'ENOENT' || code === 'ECONNREFUSED' ? 'absent' : 'loading'),
    );
    connection.once('close', () => seen('absent'));
  });
}

/** @throws EmbeddedRedisError if one runs that does not respond */
async function untilKnown(socket: string, withinMs: number, signal: AbortSignal): Promise<'absent' | 'answers'> {
  for (;;) {
    const seen = await Promise.race([look(socket, withinMs), aborted(signal)]);
    if (seen === 'silent') {
      throw new EmbeddedRedisError(
        `an embedded Redis runs on ${socket}, but did not respond within ${withinMs / 1_000} s: stop it (fuser -k ${socket}) and start again`,
      );
    }
    if (seen !== 'loading') return seen;
    await sleep(lookAgainMs, undefined, { signal });
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

/** Ends a Redis that was found running, unless another process uses it. */
async function stopIfAlone(socket: string): Promise<void> {
  await withConnection(socket, lookWithinMs, async (redis) => {
    const clients = String(await redis.client('LIST'))
      .split('\n')
      .filter((line) => line.includes('name=dicom-dispatch'));
    if (clients.length === 0) await redis.shutdown();
  }).catch(() => {
    // A shutdown closes its own connection.
  });
}

async function withConnection<T>(socket: string, withinMs: number, act: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({
    path: socket,
    lazyConnect: true,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    connectTimeout: withinMs,
    commandTimeout: withinMs,
  });
  redis.on('error', () => {});
  try {
    await redis.connect();
    return await act(redis);
  } finally {
    redis.disconnect();
  }
}

async function untilReady(
  child: ChildProcess,
  socket: string,
  output: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  // While it loads a large append-only file, Redis responds LOADING: this has no time limit.
  while ((await Promise.race([look(socket, answerWithinMs), aborted(signal)])) !== 'answers') {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new EmbeddedRedisError(
        `Redis did not start: ${output.join('').trim().slice(-500) || `exit ${child.exitCode}`}`,
      );
    }
    await sleep(lookAgainMs, undefined, { signal });
  }
}

async function findProgram(names: readonly string[]): Promise<string | undefined> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/sbin', '/usr/local/bin'];
  for (const name of names) {
    for (const folder of folders) {
      const path = join(folder, name);
      const runs = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (runs) return path;
    }
  }
  return undefined;
}
