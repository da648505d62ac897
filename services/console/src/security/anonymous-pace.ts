import type { Socket } from 'node:net';
import { FairQueue } from './fair-queue.ts';
import { TokenBucket, TokenBuckets } from './token-bucket.ts';

/** Requests per second of one client, and the burst before this limit applies. */
const perClient = { perSecond: 20, burst: 200 };
const overall = { perSecond: 200, burst: 1000 };
const maxWaiting = 2_000;
const maxWaitingPerClient = 600;
const maxClients = 10_000;
const tickMs = 50;

/**
 * Slows down requests of unknown callers: each client may send some per second, the others wait. Waiting requests are admitted
 * client by client. To let a request wait costs less than a response, and slows down clients that wait for the response.
 */
export class AnonymousPace {
  readonly #clients = new TokenBuckets(perClient, maxClients);
  readonly #all = new TokenBucket(overall);
  readonly #queue = new FairQueue<() => void>(maxWaiting, maxWaitingPerClient);
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param connection - its close ends the wait
   * @returns whether the request may continue; false if too many wait already, or the client has disconnected
   */
  async admit(client: string, connection: Socket): Promise<boolean> {
    if (this.#queue.size === 0 && this.#mayGo(client)) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const go = (): void => resolve(true);
    if (!this.#queue.push(client, go)) return false;
    this.#timer ??= setInterval(() => this.#tick(), tickMs).unref();
    const leave = (): void => {
      this.#queue.remove(client, go);
      resolve(false);
    };
    connection.once('close', leave);
    return promise.finally(() => connection.off('close', leave));
  }

  stop(): void {
    clearInterval(this.#timer);
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) next();
  }

  #tick(): void {
    while (this.#queue.size > 0) {
      const next = this.#queue.shift((client) => this.#mayGo(client));
      if (!next) return;
      next();
    }
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #mayGo(client: string): boolean {
    const own = this.#clients.of(client);
    if (this.#all.isEmpty() || own.isEmpty()) return false;
    own.take();
    this.#all.take();
    return true;
  }
}
