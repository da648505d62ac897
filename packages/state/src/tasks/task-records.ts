import { DispatchError, type ErrorRecord, type StudyTaskData } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { changeTaskScript, openScript } from './task-scripts.ts';

/**
 * - `waiting`: deliveries of the study task have not all succeeded
 * - `due`: they have; the step was tried without success, and is tried again at `nextAttemptAt`
 * - `done`: everything possible is done
 */
export type TaskState = 'waiting' | 'due' | 'done';

/** The last step of a study task: the actions of the rules in the source after all deliveries have succeeded. */
export interface TaskRecord {
  readonly data: StudyTaskData;
  readonly state: TaskState;
  /** Attempts that did not succeed. */
  readonly attempts: number;
  /** By the clock of Redis. */
  readonly nextAttemptAt: number | undefined;
  readonly error: ErrorRecord | undefined;
  readonly done: readonly string[];
  /** Actions that were not executed, with the reason. */
  readonly left: readonly string[];
  readonly updatedAt: number;
}

/** After this time without a change, reconciliation checks that something continues it. */
const lookAfterMs = 60_000;

/** The last steps of study tasks, in Redis, by the id of the study task. */
export class TaskRecords {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  /**
   * Stores the actions before the first delivery can succeed. If they are already stored, nothing changes.
   *
   * @param again - a completed one is executed once more, because a target was added
   * @returns whether the actions were written
   */
  async open(data: StudyTaskData, { again = false } = {}): Promise<boolean> {
    const id = data.studyTaskId;
    return (
      (await this.#run(() =>
        openScript.run(this.#redis, this.#keys(id), [id, JSON.stringify(data), lookAfterMs, again ? 1 : 0]),
      )) === 1
    );
  }

  /** Records that a step did not succeed, and is tried again after `waitMs`. */
  async putOff(id: string, waitMs: number, error: ErrorRecord): Promise<boolean> {
    return this.#change(id, 'due', { waitMs, counts: true, fields: { error: JSON.stringify(error) } });
  }

  /** Makes a step due immediately, at the request of an operator. */
  async wake(id: string): Promise<boolean> {
    return this.#change(id, 'due', { waitMs: 0 });
  }

  async finish(id: string, done: readonly string[], left: readonly string[]): Promise<boolean> {
    return this.#change(id, 'done', {
      fields: { error: '', done: JSON.stringify(done), left: JSON.stringify(left) },
    });
  }

  async read(id: string): Promise<TaskRecord | undefined> {
    return (await this.readAll([id]))[0];
  }

  async readAll(ids: readonly string[]): Promise<(TaskRecord | undefined)[]> {
    if (ids.length === 0) return [];
    const pipeline = this.#redis.pipeline();
    for (const id of ids) pipeline.hgetall(redisKeys(this.#prefix).task(id));
    const answers = await this.#run(() => pipeline.exec());
    return (answers ?? []).map(([error, fields]) => {
      if (error) throw new DispatchError('ledger-unavailable', 'a study task could not be read', { cause: error });
      return decode(fields as Record<string, string>);
    });
  }

  /** Open steps that were not checked for some time, longest waiting first. */
  async toBeLookedAt(now: number, limit: number): Promise<string[]> {
    const index = redisKeys(this.#prefix).index('tasks');
    return this.#run(() => this.#redis.zrangebyscore(index, '-inf', now, 'LIMIT', 0, limit));
  }

  /** Sets when to check again. */
  async lookAgain(id: string, at: number): Promise<void> {
    await this.#run(() => this.#redis.zadd(redisKeys(this.#prefix).index('tasks'), 'XX', Math.ceil(at), id));
  }

  /** Removes a step that is no longer open from the index. */
  async drop(id: string): Promise<void> {
    await this.#run(() => this.#redis.zrem(redisKeys(this.#prefix).index('tasks'), id));
  }

  /** Steps in the state `due` among the first `limit` open ones. */
  async overdue(limit = 10_000): Promise<TaskRecord[]> {
    const index = redisKeys(this.#prefix).index('tasks');
    const ids = await this.#run(() => this.#redis.zrange(index, '0', String(limit - 1)));
    const records = await this.readAll(ids);
    return records.filter((record): record is TaskRecord => record?.state === 'due');
  }

  async #change(
    id: string,
    state: TaskState,
    change: { readonly waitMs?: number; readonly counts?: boolean; readonly fields?: Readonly<Record<string, string>> },
  ): Promise<boolean> {
    const { waitMs = -1, counts = false, fields = {} } = change;
    return (
      (await this.#run(() =>
        changeTaskScript.run(this.#redis, this.#keys(id), [
          id,
          state,
          Math.ceil(waitMs),
          lookAfterMs,
          counts ? 1 : 0,
          ...Object.entries(fields).flat(),
        ]),
      )) === 1
    );
  }

  async #run<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (error instanceof DispatchError) throw error;
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for a study task', { cause: error });
    }
  }

  #keys(id: string): [string, string] {
    const keys = redisKeys(this.#prefix);
    return [keys.task(id), keys.index('tasks')];
  }
}

function decode(fields: Record<string, string>): TaskRecord | undefined {
  if (fields['data'] === undefined) return undefined;
  const list = (name: string): string[] => JSON.parse(fields[name] ?? '[]') as string[];
  return {
    data: JSON.parse(fields['data']) as StudyTaskData,
    state: fields['state'] as TaskState,
    attempts: Number(fields['attempts'] ?? 0),
    nextAttemptAt: fields['nextAttemptAt'] === undefined ? undefined : Number(fields['nextAttemptAt']),
    error: fields['error'] === undefined ? undefined : (JSON.parse(fields['error']) as ErrorRecord),
    done: list('done'),
    left: list('left'),
    updatedAt: Number(fields['updatedAt'] ?? 0),
  };
}
