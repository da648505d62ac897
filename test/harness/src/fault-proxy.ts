import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { openLane } from './fault-lane.ts';
import { leasePort } from './port.ts';
import { unwatch, watch } from './watchdog.ts';

/** Simulated faults between client and server. "Up" is from client to server. */
export interface Faults {
  /** Delay of every byte, in both directions. */
  readonly latencyMs?: number | undefined;
  /** Rate of each direction of each connection. */
  readonly bytesPerSecond?: number | undefined;
  /** Resets each connection after this number of sent bytes. */
  readonly resetAfterBytesUp?: number | undefined;
  /** Resets each connection after this number of received bytes; 0 loses the first response. */
  readonly resetAfterBytesDown?: number | undefined;
  /** Accepts connections and bytes, and forwards none. */
  readonly blackHole?: boolean | undefined;
  /** Bytes wait until this is removed. */
  readonly paused?: boolean | undefined;
  /** Connections are refused. */
  readonly refuse?: boolean | undefined;
}

export interface FaultCounters {
  /** Connections accepted so far. */
  readonly connections: number;
  /** Of these, open now. */
  readonly open: number;
  /** Maximum number of simultaneously open connections. */
  readonly maxOpen: number;
  /** Connections that the proxy has reset. */
  readonly resets: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

export interface FaultProxy extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Changes the given faults and keeps the others; also applies to open connections. Use `undefined` to remove one. */
  set(faults: Faults): Promise<void>;
  /** Removes all faults. */
  heal(): Promise<void>;
  /** Resets all open connections now. */
  cut(): void;
  /** Sends the end of the stream (FIN) to one side of all open connections; the other direction stays open. */
  halfClose(side: 'client' | 'server'): void;
  counters(): FaultCounters;
  stop(): Promise<void>;
}

export interface FaultProxyOptions extends Faults {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** The server behind it. */
  readonly port: number;
}

/** A TCP proxy on 127.0.0.1 that simulates a bad network; faults can be changed at any time. */
export async function startFaultProxy({
  host = '127.0.0.1',
  port: targetPort,
  ...first
}: FaultProxyOptions): Promise<FaultProxy> {
  const lease = await leasePort();
  const pairs = new Set<{ client: Socket; server: Socket }>();
  const counters = { connections: 0, open: 0, maxOpen: 0, resets: 0, bytesUp: 0, bytesDown: 0 };
  let faults: Faults = first;
  let resume: (() => void) | undefined;
  let resumed = Promise.resolve();
  let server: Server | undefined;

  function takeConnection(client: Socket): void {
    counters.connections += 1;
    counters.open += 1;
    counters.maxOpen = Math.max(counters.maxOpen, counters.open);
    const upstream = connect({ host, port: targetPort, allowHalfOpen: true, noDelay: true });
    const pair = { client, server: upstream };
    pairs.add(pair);
    const reset = (): void => {
      if (pairs.has(pair)) counters.resets += 1;
      client.resetAndDestroy();
      upstream.resetAndDestroy();
    };
    let closed = 0;
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      // An error on one side (refused, reset) is a reset on the other.
      socket.on('error', () => other.resetAndDestroy());
      socket.once('close', () => {
        closed += 1;
        if (closed < 2) return;
        pairs.delete(pair);
        counters.open -= 1;
      });
    }
    const shared = { faults: () => faults, resumed: () => resumed, reset };
    const countUp = (bytes: number): void => {
      counters.bytesUp += bytes;
    };
    const countDown = (bytes: number): void => {
      counters.bytesDown += bytes;
    };
    openLane({ ...shared, from: client, to: upstream, direction: 'up', count: countUp });
    openLane({ ...shared, from: upstream, to: client, direction: 'down', count: countDown });
  }

  async function listen(): Promise<void> {
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, takeConnection);
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(lease.port, '127.0.0.1', resolve);
    });
    server = listener;
  }

  async function set(changes: Faults): Promise<void> {
    faults = { ...faults, ...changes };
    if (faults.paused && !resume) {
      resumed = new Promise((resolve) => {
        resume = resolve;
      });
    } else if (!faults.paused) {
      resume?.();
      resume = undefined;
    }
    if (!faults.refuse && !server) await listen();
    else if (faults.refuse && server) {
      // Open connections stay; `cut()` ends them.
      server.close();
      server = undefined;
    }
  }

  function cut(): void {
    for (const { client, server: upstream } of pairs) {
      counters.resets += 1;
      client.resetAndDestroy();
      upstream.resetAndDestroy();
    }
  }

  async function stop(): Promise<void> {
    server?.close();
    server = undefined;
    for (const { client, server: upstream } of pairs) {
      client.destroy();
      upstream.destroy();
    }
    resume?.();
    lease.release();
    unwatch('listener', lease.port);
  }

  await set({});
  watch('listener', lease.port, 'fault proxy');
  return {
    host: '127.0.0.1',
    port: lease.port,
    set,
    heal: () => set(Object.fromEntries(Object.keys(faults).map((name) => [name, undefined]))),
    cut,
    halfClose: (side) => {
      for (const pair of pairs) pair[side].end();
    },
    counters: () => ({ ...counters }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
