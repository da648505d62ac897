import { createHash } from 'node:crypto';
import { ReplyError } from 'ioredis';
import type { RedisClient } from '@dicom-dispatch/state/redis';
import type { Script } from '@dicom-dispatch/state/redis';
import { withDeadline } from '@dicom-dispatch/state/redis';
import type { CacheWarning } from './cache-types.ts';

/** After a failure the cache does not use Redis for this time: a delivery must not wait for each of its instances. */
const pauseMs = 5_000;

const usable = new Set(['ready', 'wait', 'connecting', 'connect']);

export interface StoreOptions {
  readonly prefix: string;
  readonly timeoutMs: number;
  readonly warn: (warning: CacheWarning) => void;
}

/** The cache's part of Redis: its keys, and calls that never throw. */
export class CacheStore {
  readonly base: string;
  readonly #redis: RedisClient;
  readonly #options: StoreOptions;
  #silentUntil = 0;
  #nextWarning = 0;

  constructor(redis: RedisClient, options: StoreOptions) {
    this.#redis = redis;
    this.#options = options;
    this.base = `${options.prefix}:cache:`;
  }

  /** The keys that every script of the cache receives: totals, catalog, expiry. */
  get keys(): string[] {
    return ['totals', 'catalog', 'expiry'].map((name) => this.base + name);
  }

  /** Runs a script over the catalog. @returns undefined when Redis does not respond */
  run(script: Script, args: readonly (string | number | Buffer)[]): Promise<unknown> {
    return this.ask(() => script.run(this.#redis, this.keys, [this.base, ...args]));
  }

  runBuffer(script: Script, args: readonly (string | number | Buffer)[]): Promise<unknown> {
    return this.ask(() => script.runBuffer(this.#redis, this.keys, [this.base, ...args]));
  }

  /** @returns undefined if Redis does not respond in time or is known to be unavailable; one warning reports it */
  async ask<T>(act: (redis: RedisClient) => Promise<T>): Promise<T | undefined> {
    if (Date.now() < this.#silentUntil) return undefined;
    try {
      if (!usable.has(this.#redis.status)) throw new Error(`the connection is ${this.#redis.status}`);
      return await withDeadline(act(this.#redis), this.#options.timeoutMs);
    } catch (error) {
      // An error response of Redis (e.g. it is full) affects one call; a timeout affects all.
      const answered = error instanceof ReplyError;
      if (!answered) this.#silentUntil = Date.now() + pauseMs;
      if (Date.now() >= this.#nextWarning) {
        this.#nextWarning = Date.now() + pauseMs;
        const message = answered
          ? 'Redis refuses a call of the cache'
          : `Redis does not respond; continuing without cache for ${pauseMs} ms`;
        this.#options.warn({ code: 'redis-unavailable', message, cause: error });
      }
      return undefined;
    }
  }
}

/** Short and plain keys stay readable; all others become a hash. */
export function addressOf(type: string, key: string): string {
  const plain = /^[\x21-\x7e]{1,160}$/.test(key) && !key.startsWith('#');
  return `${type} ${plain ? key : `#${createHash('sha256').update(key).digest('base64url')}`}`;
}

/** The address of a result in a folder. */
export function inFolder(address: string, folderId: string): string {
  return `${address} @${folderId}`;
}
