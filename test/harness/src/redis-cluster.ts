import { redisArguments, redisCommand, redisProgram } from './redis.ts';
import type { RedisOptions } from './redis.ts';
import { startServer } from './start-server.ts';
import type { RunningServer } from './start-server.ts';
import { waitFor } from './wait-for.ts';

export interface RedisCluster extends AsyncDisposable {
  readonly members: readonly (RunningServer & { readonly host: string; readonly port: number })[];
  /** Arguments of ioredis' `new Cluster(…)`. */
  readonly startupNodes: readonly { readonly host: string; readonly port: number }[];
  stop(): Promise<void>;
}

const slotCount = 16_384;

/** A Redis Cluster of three masters without replicas. */
export async function startRedisCluster(options: Pick<RedisOptions, 'args' | 'program'> = {}): Promise<RedisCluster> {
  const members: RedisCluster['members'][number][] = [];
  async function stop(): Promise<void> {
    await Promise.all(members.map((member) => member.stop()));
  }
  try {
    while (members.length < 3) members.push(await startMember(options));
    await join(members);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    members,
    startupNodes: members.map(({ host, port }) => ({ host, port })),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function startMember(options: RedisOptions): Promise<RedisCluster['members'][number]> {
  const server = await startServer({
    name: 'redis-cluster',
    portCount: 2,
    prepare: (folder, [port, busPort]) => ({
      command: redisProgram(options),
      args: [
        ...redisArguments(folder, port!, options),
        '--cluster-enabled',
        'yes',
        '--cluster-port',
        String(busPort),
        '--cluster-node-timeout',
        '2000',
      ],
      cwd: folder,
    }),
    isReady: async ([port]) => (await redisCommand(urlOf(port!), 'PING')) === 'PONG',
  });
  return { ...server, host: '127.0.0.1', port: server.ports[0]! };
}

async function join(members: RedisCluster['members']): Promise<void> {
  const [first, ...others] = members;
  for (const [index, { port }] of members.entries()) {
    const start = Math.ceil((index * slotCount) / members.length);
    const end = Math.ceil(((index + 1) * slotCount) / members.length) - 1;
    await redisCommand(urlOf(port), 'CLUSTER', 'ADDSLOTSRANGE', start, end);
    // A separate epoch for each: equal ones would be a collision, which they would have to resolve first.
    await redisCommand(urlOf(port), 'CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
  }
  for (const { ports } of others) {
    await redisCommand(urlOf(first!.port), 'CLUSTER', 'MEET', '127.0.0.1', ports[0]!, ports[1]!);
  }
  for (const { port } of members) {
    await waitFor(async () => String(await redisCommand(urlOf(port), 'CLUSTER', 'INFO')).includes('cluster_state:ok'), {
      message: 'the Redis Cluster to be whole',
    });
  }
}

function urlOf(port: number): string {
  return `redis://127.0.0.1:${port}`;
}
