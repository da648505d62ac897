import { DispatchError } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { redisNow } from '../redis/redis-time.ts';
import { changeBatchScript, endLostScript, enterOpenScript, studyDoneScript } from './batch-scripts.ts';

/**
 * - `running`: the router that leads the source routes its studies one by one
 * - `paused`: an operator has paused it
 * - `done`: no study is left
 * - `cancelled`: an operator has ended it; routed studies stay routed
 */
export const batchStates = ['running', 'paused', 'done', 'cancelled'] as const;
export type BatchState = (typeof batchStates)[number];

/** Studies of one batch: 9 MB of Redis. */
export const maxBatchStudies = 200_000;

/** Action for studies of a source. No patient data. */
export interface BatchOrder {
  readonly source: string;
  /** Targets; default: the result of the rules. */
  readonly targets?: readonly string[] | undefined;
  /** By this rule alone; studies that it does not match are skipped. */
  readonly rule?: string | undefined;
  /** The user who began it. */
  readonly by: string;
  /**
   * Epoch of the source when the batch was created: the database that had its studies. Unknown if no router follows the
   * source.
   */
  readonly epoch?: number | undefined;
}

/** Routed; skipped because nothing is to be sent, or the study has left the source; failed for another reason. */
export type BatchOutcome = 'routed' | 'skipped' | 'failed';

/** State of a batch. Times are ms since 1970, by Redis TIME. */
export interface Batch extends BatchOrder {
  readonly id: string;
  readonly state: BatchState;
  readonly total: number;
  readonly routed: number;
  readonly skipped: number;
  readonly failed: number;
  /** Undefined: as fast as the source responds. */
  readonly studiesPerMinute: number | undefined;
  readonly createdAt: number;
  readonly endedAt: number | undefined;
  /** Why a study could not be routed, the latest; names the study by Orthanc's id. */
  readonly problem: string | undefined;
}

const idsAtOnce = 5_000;
const creationMs = 600_000;
const keptMs = 90 * 86_400_000;
const lostList =
  'the list of the studies that were left was missing in Redis: make the batch again, what has arrived is not sent again';

/**
 * Batches that route many old studies, in Redis: the remaining studies survive every restart. Every method throws
 * DispatchError `ledger-unavailable` if Redis fails.
 */
export class Batches {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  /** Begins a batch. It becomes visible when all its studies are written. */
  async create(id: string, order: BatchOrder, studies: readonly string[], studiesPerMinute?: number): Promise<void> {
    const { batch, batchTodo, batches, openBatches } = redisKeys(this.#prefix);
    await this.#run(async () => {
      for (let from = 0; from < studies.length; from += idsAtOnce) {
        await this.#redis.rpush(batchTodo(id), ...studies.slice(from, from + idsAtOnce));
        // If this process crashes while it writes the studies, they expire.
        if (from === 0) await this.#redis.pexpire(batchTodo(id), creationMs);
      }
      const createdAt = await redisNow(this.#redis, this.#prefix);
      await this.#redis.hset(batch(id), {
        order: JSON.stringify(order),
        state: 'running',
        total: studies.length,
        createdAt,
        ...(studiesPerMinute !== undefined && { rate: studiesPerMinute }),
      });
      await this.#redis.persist(batchTodo(id));
      await this.#redis.zadd(batches, createdAt, id);
      await this.#redis.sadd(openBatches, id);
    });
  }

  /** Newest first. Batches that ended 90 days ago have been removed. */
  async list(limit = 100): Promise<Batch[]> {
    const { batch, batches, openBatches } = redisKeys(this.#prefix);
    const ids = await this.#run(() => this.#redis.zrevrange(batches, 0, limit - 1));
    const found = await Promise.all(ids.map((id) => this.read(id)));
    const gone = ids.filter((_, index) => !found[index]);
    if (gone.length > 0) await this.#run(() => this.#redis.zrem(batches, ...gone));
    // The set of open batches may have been lost.
    const open = found.flatMap((one) => (one?.state === 'running' || one?.state === 'paused' ? [one.id] : []));
    if (open.length > 0) {
      const keys = [openBatches, ...open.map((id) => batch(id))];
      await this.#run(() => enterOpenScript.run(this.#redis, keys, open));
    }
    return found.filter((one) => one !== undefined);
  }

  /** Those that have not ended. */
  async open(): Promise<Batch[]> {
    const ids = await this.#run(() => this.#redis.smembers(redisKeys(this.#prefix).openBatches));
    return (await Promise.all(ids.toSorted().map((id) => this.read(id)))).filter((one) => one !== undefined);
  }

  async read(id: string): Promise<Batch | undefined> {
    const fields = await this.#run(() => this.#redis.hgetall(redisKeys(this.#prefix).batch(id)));
    if (fields['order'] === undefined) return undefined;
    const number = (name: string): number => Number(fields[name] ?? 0);
    return {
      id,
      ...(JSON.parse(fields['order']) as BatchOrder),
      state: fields['state'] as BatchState,
      total: number('total'),
      routed: number('routed'),
      skipped: number('skipped'),
      failed: number('failed'),
      studiesPerMinute: fields['rate'] === undefined ? undefined : Number(fields['rate']),
      createdAt: number('createdAt'),
      endedAt: fields['endedAt'] === undefined ? undefined : Number(fields['endedAt']),
      problem: fields['problem'],
    };
  }

  /** @returns whether the state was one of `from`, and is `to` now */
  async change(id: string, from: readonly BatchState[], to: BatchState): Promise<boolean> {
    const { batch, batchTodo, openBatches } = redisKeys(this.#prefix);
    const keys = [batch(id), batchTodo(id), openBatches];
    const args = [`,${from.join(',')},`, to, keptMs, id];
    return (await this.#run(() => changeBatchScript.run(this.#redis, keys, args))) === 1;
  }

  /** Undefined removes the limit. */
  async setRate(id: string, studiesPerMinute: number | undefined): Promise<void> {
    const { batch } = redisKeys(this.#prefix);
    await this.#run(async () => {
      if (studiesPerMinute === undefined) await this.#redis.hdel(batch(id), 'rate', 'nextAt');
      else await this.#redis.hset(batch(id), { rate: studiesPerMinute, nextAt: 0 });
    });
  }

  /** The next study, if it is due. The same study is returned until {@link studyDone} is called for it. */
  async next(id: string, now: number): Promise<string | undefined> {
    const { batch, batchTodo, openBatches } = redisKeys(this.#prefix);
    return this.#run(async () => {
      const [state, nextAt] = await this.#redis.hmget(batch(id), 'state', 'nextAt');
      if (state !== 'running' || Number(nextAt ?? 0) > now) return undefined;
      const next = await this.#redis.lindex(batchTodo(id), 0);
      if (next !== null) return next;
      await endLostScript.run(this.#redis, [batch(id), batchTodo(id), openBatches], [lostList, keptMs, id]);
      return undefined;
    });
  }

  /** Moves to the next study; the last one ends the batch. Repeating it for the same study changes nothing. */
  async studyDone(id: string, study: string, outcome: BatchOutcome, problem?: string): Promise<void> {
    const { batch, batchTodo, openBatches } = redisKeys(this.#prefix);
    const keys = [batch(id), batchTodo(id), openBatches];
    await this.#run(() => studyDoneScript.run(this.#redis, keys, [study, outcome, problem ?? '', keptMs, id]));
  }

  async #run<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for a batch', { cause: error });
    }
  }
}
