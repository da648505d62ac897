import { execFile } from 'node:child_process';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A separate host: a network namespace with one link to this machine. */
export interface Host {
  readonly address: string;
  /** What to put before a command so that it runs there. */
  readonly prefix: readonly string[];
  /** Cuts the link: packets are lost in both directions, without any notification. */
  cut(): Promise<void>;
  heal(): Promise<void>;
}

export interface TwoHosts extends AsyncDisposable {
  readonly hosts: readonly [Host, Host];
  /** Makes a server on this machine's loopback reachable from both hosts. */
  publish(port: number): Promise<{ readonly host: string; readonly port: number }>;
}

/** Why this machine cannot have hosts in network namespaces; undefined if it can. */
export async function whyNoHosts(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const name = `dd-try-${process.pid}`;
  try {
    await run('ip', ['netns', 'add', name]);
    await run('ip', ['link', 'add', `t${process.pid}a`, 'type', 'veth', 'peer', 'name', `t${process.pid}b`]);
    await run('ip', ['link', 'del', `t${process.pid}a`]);
    return undefined;
  } catch (error) {
    return `network namespaces cannot be made: ${(error as Error).message.trim()}`;
  } finally {
    await run('ip', ['netns', 'del', name]).catch(() => {});
  }
}

/** Two network namespaces on addresses reserved for benchmarks (RFC 2544), each with its own link to this machine. */
export async function startTwoHosts(): Promise<TwoHosts> {
  const net = `198.18.${process.pid % 250}`;
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const undo: (() => Promise<unknown>)[] = [];

  async function stop(): Promise<void> {
    for (const socket of sockets) socket.destroy();
    await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
    for (const step of undo.reverse()) await step().catch(() => {});
  }

  async function addHost(letter: 'a' | 'b', last: number): Promise<Host> {
    const name = `dd-${process.pid}-${letter}`;
    const [outside, inside] = [`o${process.pid}${letter}`, `i${process.pid}${letter}`];
    await run('ip', ['netns', 'add', name]);
    undo.push(() => run('ip', ['netns', 'del', name]));
    await run('ip', ['link', 'add', outside, 'type', 'veth', 'peer', 'name', inside, 'netns', name]);
    undo.push(() => run('ip', ['link', 'del', outside]));
    await run('ip', ['addr', 'add', `${net}.${last}/30`, 'dev', outside]);
    await run('ip', ['link', 'set', outside, 'up']);
    const there = (...words: string[]): Promise<unknown> => run('ip', ['-n', name, ...words]);
    await there('addr', 'add', `${net}.${last + 1}/30`, 'dev', inside);
    await there('link', 'set', 'lo', 'up');
    await there('link', 'set', inside, 'up');
    await there('route', 'add', 'default', 'via', `${net}.${last}`);
    return {
      address: `${net}.${last + 1}`,
      prefix: ['nsenter', `--net=/run/netns/${name}`],
      cut: async () => void (await run('ip', ['link', 'set', outside, 'down'])),
      heal: async () => void (await run('ip', ['link', 'set', outside, 'up'])),
    };
  }

  try {
    const first = await addHost('a', 1);
    const second = await addHost('b', 5);
    // An address of the second link, which stays when the first one is cut.
    const own = `${net}.5`;
    return {
      hosts: [first, second],
      async publish(port) {
        const server = createServer({ noDelay: true }, (client) => {
          const upstream = connect({ host: '127.0.0.1', port, noDelay: true });
          for (const [socket, other] of [
            [client, upstream],
            [upstream, client],
          ] as const) {
            sockets.add(socket);
            socket.on('error', () => other.destroy());
            socket.on('close', () => {
              sockets.delete(socket);
              other.destroy();
            });
            socket.pipe(other);
          }
        });
        servers.push(server);
        await new Promise<void>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, own, resolve);
        });
        return { host: own, port: (server.address() as AddressInfo).port };
      },
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
