import { connect } from 'node:net';
import { leasePort } from './port.ts';
import type { PortLease } from './port.ts';
import { spawnServer } from './server-process.ts';
import type { Command, ServerProcess } from './server-process.ts';
import { tempFolder } from './temp-folder.ts';
import { waitFor } from './wait-for.ts';

/** Common properties of every real server that runs as a process. */
export interface RunningServer extends AsyncDisposable {
  /** All its ports on 127.0.0.1; unchanged by restarts. */
  readonly ports: readonly number[];
  /** Its folder; removed by `stop()`. */
  readonly folder: string;
  pid(): number;
  /** Its output in this run, for failure messages. */
  output(): string;
  isRunning(): boolean;
  /** Signals the server and its children. After a fatal signal it has ended when this resolves; `restart()` starts it again. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Ends it if it runs (SIGTERM), starts it on the same ports and folder, and waits until it responds. */
  restart(): Promise<void>;
  /** Ends it and removes its folder. May be called again. */
  stop(): Promise<void>;
}

export interface ServerDefinition {
  readonly name: string;
  /** How many ports it needs. Default 1. */
  readonly portCount?: number;
  /** Writes its files into its folder and returns how to start it; called once. */
  prepare(folder: string, ports: readonly number[]): Promise<Command> | Command;
  /** Whether it responds; throwing means "not yet". Default: its first port accepts a connection. */
  isReady?(ports: readonly number[]): Promise<boolean>;
  /** How long it may take to end at `restart()` before it is killed. Default 60 000. */
  readonly graceMs?: number;
  /** `stop()` sends SIGTERM first, because data outside of its folder are kept. Default false: it is killed immediately. */
  readonly endsGently?: boolean;
  /** Runs at `stop()`, after the end of the process and before its folder is removed. */
  cleanUp?(): Promise<void>;
}

const portTaken = /address (already )?in use|could not bind|cannot listen|EADDRINUSE|bind\(?\)? failed|port .* in use/i;

/** Starts a server and waits until it responds. If a port was taken meanwhile, other ports are tried. */
export async function startServer(definition: ServerDefinition): Promise<RunningServer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOnce(definition);
    } catch (error) {
      if (attempt >= 4 || !portTaken.test((error as Error).message)) throw error;
    }
  }
}

async function startOnce(definition: ServerDefinition): Promise<RunningServer> {
  const folder = await tempFolder(definition.name);
  const graceMs = definition.graceMs ?? 60_000;
  const leases: PortLease[] = [];
  let running: ServerProcess | undefined;

  async function clear(): Promise<void> {
    await running?.end(definition.endsGently ? graceMs : 0);
    await definition.cleanUp?.();
    await folder.remove();
    for (const lease of leases) lease.release();
  }

  try {
    for (let count = definition.portCount ?? 1; count > 0; count -= 1) leases.push(await leasePort());
    const ports = leases.map((lease) => lease.port);
    const command = await definition.prepare(folder.path, ports);
    let isStopped = false;
    const start = async (): Promise<void> => {
      running = await spawnServer(definition.name, command);
      await waitUntilReady(definition, running, ports);
    };
    await start();
    return {
      ports,
      folder: folder.path,
      pid: () => running!.pid,
      output: () => running!.output(),
      isRunning: () => running!.isRunning(),
      kill: (signal) => running!.kill(signal),
      restart: async () => {
        if (isStopped) throw new Error(`${definition.name} was stopped and its folder removed; start another`);
        await running!.end(graceMs);
        await start();
      },
      stop: async () => {
        isStopped = true;
        await clear();
      },
      [Symbol.asyncDispose]: async () => {
        isStopped = true;
        await clear();
      },
    };
  } catch (error) {
    await clear();
    throw error;
  }
}

async function waitUntilReady(
  definition: ServerDefinition,
  running: ServerProcess,
  ports: readonly number[],
): Promise<void> {
  const isReady = definition.isReady ?? ((all) => canConnect(all[0]!));
  const outcome = await waitFor(
    async () => {
      if (!running.isRunning()) return 'ended';
      return (await isReady(ports)) && running.isRunning() ? 'ready' : false;
    },
    {
      message: () => `${definition.name} to answer; it printed:\n${running.output()}`,
    },
  );
  if (outcome === 'ended') {
    throw new Error(`${definition.name} ended at its start (${running.ending()}); it printed:\n${running.output()}`);
  }
}

/** Whether the port accepts connections. */
export function canConnect(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      socket.destroy();
      resolve(false);
    });
  });
}
