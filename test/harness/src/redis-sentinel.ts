import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { redisCommand, redisProgram, startRedis } from './redis.ts';
import type { RedisOptions, RedisServer } from './redis.ts';
import { startServer } from './start-server.ts';
import type { RunningServer } from './start-server.ts';
import { waitFor } from './wait-for.ts';

export interface SentinelSetup extends AsyncDisposable {
  /** What Sentinel calls the group: `dispatch`. */
  readonly name: string;
  readonly sentinels: readonly { readonly host: string; readonly port: number }[];
  /** The two Redis servers; the first one is master at the start. */
  readonly servers: readonly RedisServer[];
  readonly sentinelServers: readonly RunningServer[];
  /** Port of the present master. */
  masterPort(): Promise<number>;
  stop(): Promise<void>;
}

const group = 'dispatch';

/** A master, a replica and three Sentinels that promote the replica about a second after the master has failed. */
export async function startSentinel(options: Pick<RedisOptions, 'program'> = {}): Promise<SentinelSetup> {
  const servers: RedisServer[] = [];
  const sentinelServers: RunningServer[] = [];
  async function stop(): Promise<void> {
    await Promise.all([...sentinelServers, ...servers].map((server) => server.stop()));
  }
  async function masterPort(): Promise<number> {
    for (const { ports, isRunning } of sentinelServers) {
      if (!isRunning()) continue;
      const address = await redisCommand(urlOf(ports[0]!), 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', group);
      if (Array.isArray(address)) return Number(address[1]);
    }
    throw new Error('no Sentinel runs');
  }
  try {
    const master = await startRedis(options);
    servers.push(master);
    servers.push(await startRedis({ ...options, args: ['--replicaof', '127.0.0.1', String(master.port)] }));
    while (sentinelServers.length < 3) sentinelServers.push(await startOne(master.port, options));
    await waitUntilKnown(sentinelServers);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name: group,
    sentinels: sentinelServers.map(({ ports }) => ({ host: '127.0.0.1', port: ports[0]! })),
    servers,
    sentinelServers,
    masterPort,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function startOne(masterPort: number, options: RedisOptions): Promise<RunningServer> {
  return startServer({
    name: 'sentinel',
    prepare: async (folder, [port]) => {
      const lines = [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${folder}`,
        `sentinel monitor ${group} 127.0.0.1 ${masterPort} 2`,
        `sentinel down-after-milliseconds ${group} 600`,
        `sentinel failover-timeout ${group} 3000`,
      ];
      // Sentinel writes its state into this file.
      await writeFile(join(folder, 'sentinel.conf'), `${lines.join('\n')}\n`);
      return { command: redisProgram(options), args: ['sentinel.conf', '--sentinel'], cwd: folder };
    },
    isReady: async ([port]) => (await redisCommand(urlOf(port!), 'PING')) === 'PONG',
  });
}

/** A failover requires that the Sentinels know each other and the replica. */
async function waitUntilKnown(sentinels: readonly RunningServer[]): Promise<void> {
  for (const { ports } of sentinels) {
    await waitFor(
      async () => {
        const facts = (await redisCommand(urlOf(ports[0]!), 'SENTINEL', 'MASTER', group)) as string[];
        const fact = (name: string): string | undefined => facts[facts.indexOf(name) + 1];
        return fact('num-slaves') === '1' && fact('num-other-sentinels') === String(sentinels.length - 1);
      },
      { message: 'the Sentinels to find each other and the replica' },
    );
  }
}

function urlOf(port: number): string {
  return `redis://127.0.0.1:${port}`;
}
