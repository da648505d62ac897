import type { ResolvedOptions } from '../client-options.ts';
import { OrthancError } from '../orthanc-error.ts';
import { translateAbort } from '../translate-error.ts';
import type { CallName } from '../translate-error.ts';
import { BlockPool } from './block-pool.ts';
import { GetConnection } from './get-connection.ts';
import type { GetAnswer } from './get-connection.ts';

interface Waiter {
  grant: (connection: GetConnection) => void;
  refuse: (error: OrthancError) => void;
}

/** One request; a GET unless it has `json`. */
export interface GetOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  readonly preparationMs?: number | undefined;
  /** Value that is sent as JSON, by POST: only for a request that may be sent twice. */
  readonly json?: unknown;
  /** Uses a new connection. */
  readonly anew?: boolean;
  /** How often the request is sent again after a new connection broke before any byte of the response. Default 1. */
  readonly repeats?: number;
}

/**
 * Connections for requests that read: at most `maxConnections`, kept while the server keeps them, assigned first come first
 * served.
 */
export class GetPool {
  readonly #options: ResolvedOptions;
  /** Memory of the chunks that this pool returns; a chunk may be released to it. */
  readonly blocks = new BlockPool();
  readonly #headers: string;
  readonly #all = new Set<GetConnection>();
  readonly #idle: GetConnection[] = [];
  readonly #waiters: Waiter[] = [];
  #closed = false;
  #clock: NodeJS.Timeout | undefined;

  constructor(options: ResolvedOptions) {
    this.#options = options;
    const headers: Record<string, string> = { host: options.host, ...options.headers, 'accept-encoding': 'identity' };
    const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#headers = fields.join('');
  }

  /**
   * Sends a request and resolves with the header of its response, of any status. The caller reads the body to its end or
   * leaves it by `return()`; until then the connection is busy. An idle connection that turns out to be closed is replaced
   * silently; after a new one breaks before any byte of the response, the request is sent again, up to `repeats` times.
   *
   * @param target path and query string, already percent-encoded
   * @throws OrthancError if there was no response
   */
  async get(
    call: CallName,
    target: string,
    { signal, timeoutMs = this.#options.timeoutMs, preparationMs = 0, json, anew = false, repeats = 1 }: GetOptions,
  ): Promise<GetAnswer> {
    const request = this.#requestOf(target, json);
    let wasStale = anew;
    let resets = 0;
    for (;;) {
      const connection = await this.#acquire(call, signal, wasStale);
      if (signal?.aborted === true) {
        connection.destroy();
        throw translateAbort(signal.reason, call);
      }
      const abort = signal === undefined ? undefined : () => connection.destroy(translateAbort(signal.reason, call));
      if (abort !== undefined) signal?.addEventListener('abort', abort, { once: true });
      try {
        const answer = await connection.get(call, request, { timeoutMs, preparationMs });
        if (abort !== undefined) answer.body.whenEnded(() => signal?.removeEventListener('abort', abort));
        return answer;
      } catch (error) {
        if (abort !== undefined) signal?.removeEventListener('abort', abort);
        if (!(error instanceof OrthancError) || error.code !== 'reset' || connection.answerBegan) throw error;
        // An idle connection that the server had closed is not a failure yet; from here on only new ones are used.
        if (connection.wasKept) wasStale = true;
        else resets += 1;
        if (resets > repeats) throw error;
      }
    }
  }

  #requestOf(target: string, json: unknown): Buffer | string {
    const where = `${this.#options.prefix}${target} HTTP/1.1\r\n${this.#headers}`;
    if (json === undefined) return `GET ${where}\r\n`;
    const body = JSON.stringify(json);
    const bytes = Buffer.byteLength(body);
    return Buffer.from(
      `POST ${where}content-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n${body}`,
      'utf8',
    );
  }

  /** Ends every connection; running and waiting requests fail as cancelled. */
  close(): void {
    this.#closed = true;
    const error = new OrthancError('cancelled', 'the client was closed');
    for (const waiter of this.#waiters.splice(0)) waiter.refuse(error);
    for (const connection of this.#all) connection.destroy(error);
    this.blocks.clear();
  }

  /** An exclusive connection until it is idle again; `anew` never uses an idle one. */
  async #acquire(call: CallName, signal: AbortSignal | undefined, anew: boolean): Promise<GetConnection> {
    if (signal?.aborted === true) throw translateAbort(signal.reason, call);
    if (this.#closed) throw new OrthancError('cancelled', 'the client was closed', call);
    for (;;) {
      const kept = this.#idle.pop();
      if (kept === undefined) break;
      if (kept.fresh && !anew) return kept;
      kept.destroy();
    }
    if (this.#all.size < this.#options.maxConnections) return this.#open();
    return this.#wait(call, signal);
  }

  #open(): GetConnection {
    const connection = new GetConnection(
      this.#options,
      this.blocks,
      (idle) => this.#released(idle),
      (closed) => this.#lost(closed),
    );
    this.#all.add(connection);
    this.#clock ??= this.#startClock();
    return connection;
  }

  /** Checks all deadlines ten times in the shorter of the client's two timeouts, and at least once a second. */
  #startClock(): NodeJS.Timeout {
    const shortestMs = Math.min(this.#options.timeoutMs, this.#options.connectTimeoutMs);
    const clock = setInterval(
      () => {
        const now = performance.now();
        for (const connection of this.#all) connection.check(now);
      },
      Math.min(1000, Math.max(10, shortestMs / 10)),
    );
    return clock.unref();
  }

  #wait(call: CallName, signal: AbortSignal | undefined): Promise<GetConnection> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        const index = this.#waiters.indexOf(waiter);
        if (index !== -1) this.#waiters.splice(index, 1);
        reject(translateAbort(signal?.reason, call));
      };
      const waiter: Waiter = {
        grant(connection) {
          signal?.removeEventListener('abort', abort);
          resolve(connection);
        },
        refuse(error) {
          signal?.removeEventListener('abort', abort);
          reject(error);
        },
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  #released(connection: GetConnection): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#idle.push(connection);
    else waiter.grant(connection);
  }

  #lost(connection: GetConnection): void {
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
    if (!this.#all.delete(connection)) return;
    if (!this.#closed) this.#waiters.shift()?.grant(this.#open());
    if (this.#all.size > 0) return;
    clearInterval(this.#clock);
    this.#clock = undefined;
  }
}
