import { spawn, type ChildProcess } from 'node:child_process';
import { access, constants, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, delimiter, join, resolve } from 'node:path';
import { once } from 'node:events';
import { Redis } from 'ioredis';

/** A Redis of our own, for a single machine: a child process that keeps its data in a folder. */
export interface EmbeddedRedis {
  readonly url: string;
  stop(): Promise<void>;
}

export class EmbeddedRedisError extends Error {
  override readonly name = 'EmbeddedRedisError';
}

const programs = ['redis-server', 'valkey-server'] as const;

/**
 * Starts `redis-server` or `valkey-server` with append-only persistence on a Unix socket in `dataFolder`, so that no
 * port is taken and no one else on the network can reach it. The one that wrote the data goes on with it while it is
 * installed: Redis 7.0 refuses files of Valkey 8.
 *
 * @throws EmbeddedRedisError when neither program is installed, or it does not start
 */
export async function startEmbeddedRedis(dataFolder: string): Promise<EmbeddedRedis> {
  const folder = resolve(dataFolder, 'redis');
  const writer = join(folder, 'program');
  const wrote = await readFile(writer, 'utf8').catch(() => '');
  const program = await findProgram(programs.toSorted((a, b) => Number(b === wrote) - Number(a === wrote)));
  if (!program) {
    throw new EmbeddedRedisError(
      'no redis.url is configured, and neither redis-server nor valkey-server is installed: set redis.url, or install one (apt-get install redis-server)',
    );
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const socket = join(folder, 'redis.sock');
  if (await answers(socket)) return { url: `unix://${socket}`, stop: () => stopIfAlone(socket) };
  // prettier-ignore
  const child = spawn(program, [
    '--port', '0', '--unixsocket', socket, '--unixsocketperm', '700', '--dir', folder, '--daemonize', 'no',
    '--appendonly', 'yes', '--appendfsync', 'everysec', '--save', '', '--maxmemory-policy', 'noeviction', '--loglevel', 'warning',
  ], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  const killWithUs = (): void => void child.kill('SIGTERM');
  process.once('exit', killWithUs);
  await untilReady(child, socket, output);
  await writeFile(writer, basename(program));
  return {
    url: `unix://${socket}`,
    async stop() {
      process.off('exit', killWithUs);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** The address of the Redis of our own that runs on a data folder, whoever started it; undefined when none answers. */
export async function findEmbeddedRedis(dataFolder: string): Promise<string | undefined> {
  const socket = join(resolve(dataFolder, 'redis'), 'redis.sock');
  return (await answers(socket)) ? `unix://${socket}` : undefined;
}

/** Whether a Redis that a killed process of ours left behind is still there: two on the same files would spoil them. */
async function answers(socket: string): Promise<boolean> {
  return withConnection(socket, async (redis) => (await redis.ping()) === 'PONG').catch(() => false);
}

/** Ends a Redis that was found running, unless another process uses it. */
async function stopIfAlone(socket: string): Promise<void> {
  await withConnection(socket, async (redis) => {
    const clients = String(await redis.client('LIST'))
      .split('\n')
      .filter((line) => line.includes('name=dicom-dispatch'));
    if (clients.length === 0) await redis.shutdown();
  }).catch(() => {
    // A shutdown closes the connection it was asked on.
  });
}

async function withConnection<T>(socket: string, act: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ path: socket, lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0 });
  redis.on('error', () => {});
  try {
    await redis.connect();
    return await act(redis);
  } finally {
    redis.disconnect();
  }
}

async function untilReady(child: ChildProcess, socket: string, output: readonly string[]): Promise<void> {
  // While a large append-only file is read, Redis answers LOADING: that may take as long as it takes.
  while (!(await answers(socket))) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new EmbeddedRedisError(
        `Redis did not start: ${output.join('').trim().slice(-500) || `exit ${child.exitCode}`}`,
      );
    }
    await new Promise((done) => setTimeout(done, 50));
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
