import { DispatchError } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { redisNow } from '../redis/redis-time.ts';

/**
 * - `running`: a console retrieves the study
 * - `done`: all instances returned by the target are in the source, or were downloaded
 * - `failed`: it ended earlier; another fetch continues where it stopped
 * - `cancelled`: an operator has ended it
 * - `interrupted`: its console no longer runs
 */
export const fetchStates = ['running', 'done', 'failed', 'cancelled', 'interrupted'] as const;
export type FetchState = (typeof fetchStates)[number];

/** No patient data. */
export interface FetchOrder {
  readonly target: string;
  readonly studyInstanceUid: string;
  /** The source that receives it; undefined: it is downloaded. */
  readonly source: string | undefined;
  readonly by: string;
}

/** A study on its way from a target into a source or a download. Times are ms since 1970, by Redis TIME. */
export interface FetchRecord extends FetchOrder {
  readonly id: string;
  readonly state: FetchState;
  readonly completed: number;
  readonly failed: number;
  /** Undefined until the target has reported the number. */
  readonly remaining: number | undefined;
  readonly startedAt: number;
  readonly problem: string | undefined;
}

export interface FetchProgress {
  readonly completed: number;
  readonly failed: number;
  readonly remaining: number | undefined;
}

const keptMs = 86_400_000;
/** A console without a heartbeat for this time no longer runs; the interval is a second. */
const silentMs = 30_000;

/**
 * Studies that are being fetched, or were fetched within a day, in Redis: each console shows those of all consoles.
 * Every method throws DispatchError `ledger-unavailable` if Redis fails.
 */
export class Fetches {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  async begin(id: string, order: FetchOrder): Promise<void> {
    const { fetch, fetches } = redisKeys(this.#prefix);
    await this.#run(async () => {
      const now = await redisNow(this.#redis, this.#prefix);
      await this.#redis.hset(fetch(id), { order: JSON.stringify(order), state: 'running', startedAt: now, at: now });
      await this.#redis.pexpire(fetch(id), keptMs);
      await this.#redis.zadd(fetches, now, id);
      await this.#redis.zremrangebyscore(fetches, '-inf', now - keptMs);
    });
  }

  /** Updates the progress, and thereby the heartbeat of the console. @returns whether an operator has cancelled it */
  async report(id: string, { completed, failed, remaining }: FetchProgress): Promise<boolean> {
    const key = redisKeys(this.#prefix).fetch(id);
    return this.#run(async () => {
      const at = await redisNow(this.#redis, this.#prefix);
      await this.#redis.hset(key, { completed, failed, at, ...(remaining !== undefined && { remaining }) });
      return (await this.#redis.hexists(key, 'cancel')) === 1;
    });
  }

  async end(id: string, state: FetchState, problem?: string): Promise<void> {
    const key = redisKeys(this.#prefix).fetch(id);
    await this.#run(() => this.#redis.hset(key, { state, ...(problem !== undefined && { problem }) }));
  }

  /** Its console ends it within a second. @returns whether it was running */
  async cancel(id: string): Promise<boolean> {
    if ((await this.read(id))?.state !== 'running') return false;
    await this.#run(() => this.#redis.hset(redisKeys(this.#prefix).fetch(id), 'cancel', 1));
    return true;
  }

  /** The newest first, at most 100. */
  async list(): Promise<FetchRecord[]> {
    const ids = await this.#run(() => this.#redis.zrevrange(redisKeys(this.#prefix).fetches, 0, 99));
    return (await Promise.all(ids.map((id) => this.read(id)))).filter((one) => one !== undefined);
  }

  async read(id: string): Promise<FetchRecord | undefined> {
    return this.#run(async () => {
      const fields = await this.#redis.hgetall(redisKeys(this.#prefix).fetch(id));
      if (fields['order'] === undefined) return undefined;
      const isSilent = (await redisNow(this.#redis, this.#prefix)) - Number(fields['at']) > silentMs;
      const state = fields['state'] as FetchState;
      return {
        id,
        ...(JSON.parse(fields['order']) as FetchOrder),
        state: state === 'running' && isSilent ? 'interrupted' : state,
        completed: Number(fields['completed'] ?? 0),
        failed: Number(fields['failed'] ?? 0),
        remaining: fields['remaining'] === undefined ? undefined : Number(fields['remaining']),
        startedAt: Number(fields['startedAt']),
        problem: fields['problem'],
      };
    });
  }

  async #run<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for a fetch', { cause: error });
    }
  }
}
