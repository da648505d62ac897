import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const maxConnections = 500;
const maxConnectionsOfOne = 20;
/** From the first byte of a request to its last one. */
const requestMs = 10_000;
/** Requests of one address in a second that are answered; the others are refused, at the end of that second. */
const maxAtOnce = 100;

interface Client {
  connections: number;
  second: number;
  requests: number;
}

/**
 * Bounds what one address can ask of a small server that nobody signs in to: connections, slow requests, and requests a second.
 * Probes of others are answered meanwhile, and the process goes on with its work.
 */
export class ClientLimits {
  readonly #clients = new Map<string, Client>();

  guard(server: Server): void {
    server.maxConnections = maxConnections;
    server.headersTimeout = requestMs;
    server.requestTimeout = requestMs;
    server.on('connection', (socket: Socket) => {
      const address = socket.remoteAddress ?? '';
      const client = this.#clients.get(address) ?? { connections: 0, second: 0, requests: 0 };
      if (client.connections >= maxConnectionsOfOne) {
        socket.destroy();
        return;
      }
      client.connections += 1;
      this.#clients.set(address, client);
      socket.once('close', () => {
        client.connections -= 1;
        if (client.connections === 0) this.#clients.delete(address);
      });
    });
  }

  /** @returns whether the client gets an answer; false, a moment later, when it has asked too much */
  async admit(socket: Socket): Promise<boolean> {
    const client = this.#clients.get(socket.remoteAddress ?? '');
    if (!client) return false;
    const now = performance.now();
    const second = Math.floor(now / 1000);
    if (client.second !== second) Object.assign(client, { second, requests: 0 });
    client.requests += 1;
    if (client.requests <= maxAtOnce) return true;
    await sleep((second + 1) * 1000 - now, undefined, { ref: false });
    return false;
  }
}
