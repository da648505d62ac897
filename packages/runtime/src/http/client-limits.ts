import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const maxConnections = 500;
const maxConnectionsOfOne = 20;
/** From the first byte of a request to its last one. */
const requestMs = 10_000;
/** Requests of one address in a second that are answered; the others are refused, at the end of that second. */
const maxAtOnce = 100;
/** Addresses whose requests of a second are counted; those of others are answered. */
const maxCounted = 10_000;

/**
 * Bounds what one address can ask of a small server that nobody signs in to: connections, slow requests, and requests a second.
 * Probes of others are answered meanwhile, and the process goes on with its work.
 */
export class ClientLimits {
  readonly #connections = new Map<string, number>();
  /** Requests of the current second, also of connections that have ended. */
  readonly #requests = new Map<string, number>();
  #second = 0;

  guard(server: Server): void {
    server.maxConnections = maxConnections;
    server.headersTimeout = requestMs;
    server.requestTimeout = requestMs;
    server.on('connection', (socket: Socket) => {
      const address = socket.remoteAddress ?? '';
      const open = this.#connections.get(address) ?? 0;
      if (open >= maxConnectionsOfOne) {
        socket.destroy();
        return;
      }
      this.#connections.set(address, open + 1);
      socket.once('close', () => {
        const left = (this.#connections.get(address) ?? 1) - 1;
        if (left === 0) this.#connections.delete(address);
        else this.#connections.set(address, left);
      });
    });
  }

  /** @returns whether the client gets an answer; false, a moment later, when it has asked too much */
  async admit(socket: Socket): Promise<boolean> {
    const address = socket.remoteAddress;
    if (address === undefined) return false;
    const now = performance.now();
    const second = Math.floor(now / 1000);
    if (second !== this.#second) this.#requests.clear();
    this.#second = second;
    const requests = (this.#requests.get(address) ?? 0) + 1;
    if (requests > 1 || this.#requests.size < maxCounted) this.#requests.set(address, requests);
    if (requests <= maxAtOnce) return true;
    await sleep((second + 1) * 1000 - now, undefined, { ref: false });
    return false;
  }
}
