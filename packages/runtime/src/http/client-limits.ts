import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const maxConnections = 500;
const maxConnectionsOfOne = 20;
/** From the first byte of a request to its last one. */
const requestMs = 10_000;
/** Requests per second of one address that are answered; further ones are rejected at the end of that second. */
const maxAtOnce = 100;
/** Addresses whose requests of a second are counted; those of others are answered. */
const maxCounted = 10_000;

/**
 * Limits one address at a small server without sign-in: connections, slow requests, and requests a second. A new
 * connection takes the place of the oldest one of its address: a probe succeeds even if other clients share its
 * address.
 */
export class ClientLimits {
  /** By address, the oldest first. */
  readonly #connections = new Map<string, Set<Socket>>();
  /** Requests of the current second, also of connections that have ended. */
  readonly #requests = new Map<string, number>();
  #second = 0;

  guard(server: Server): void {
    server.maxConnections = maxConnections;
    server.headersTimeout = requestMs;
    server.requestTimeout = requestMs;
    server.on('connection', (socket: Socket) => {
      const address = socket.remoteAddress ?? '';
      const open = this.#connections.get(address) ?? new Set();
      this.#connections.set(address, open.add(socket));
      const [oldest] = open;
      if (open.size > maxConnectionsOfOne && oldest) {
        open.delete(oldest);
        oldest.destroy();
      }
      socket.once('close', () => {
        open.delete(socket);
        if (open.size === 0 && this.#connections.get(address) === open) this.#connections.delete(address);
      });
    });
  }

  /** @returns whether the request is answered; false, at the end of the second, if its address has sent too many */
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
