import type { CompiledRule, WaitingRule } from '@dicom-dispatch/core';
import { operationKeys } from '@dicom-dispatch/pipeline';
import { joinCalls, type Redis } from '@dicom-dispatch/runtime';
import type { SafeOutcome } from './study-router.ts';

/** A rule that waits forever is checked again when the study changes, and periodically. */
const lookAgainMs = 6 * 3_600_000;
const failedAgainMs = 30_000;
const keepMs = 180 * 86_400_000;
const batch = 50;

/**
 * Incomplete studies, by source, stored in Redis until they are complete, or until their rules have waited long
 * enough: a restart preserves them and the start of their wait.
 */
export class WaitingStudies {
  readonly #redis: Redis;
  readonly #dueKey: string;
  readonly #sinceKey: (orthancStudyId: string) => string;
  readonly #now: () => number;
  readonly #remove = joinCalls(async (ids: readonly string[]) => {
    await this.#redis.zrem(this.#dueKey, ...ids);
    return [];
  });

  constructor(redis: Redis, prefix: string, source: string, now: () => number) {
    const keys = operationKeys(prefix);
    this.#redis = redis;
    this.#dueKey = keys.waits(source);
    this.#sinceKey = (id) => keys.waitsSince(source, id);
    this.#now = now;
  }

  /** Returns for each rule whether its wait for this study has ended. */
  async hasWaited(orthancStudyId: string, rules: readonly CompiledRule[]): Promise<(rule: string) => boolean> {
    if (rules.every(({ complete }) => !complete)) return () => false;
    const since = await this.#read(orthancStudyId);
    const over = new Set(
      rules
        .filter(({ name, complete }) => {
          const from = since[name];
          return complete && complete.timeout > 0 && from !== undefined && this.#now() - from >= complete.timeout;
        })
        .map(({ name }) => name),
    );
    return (rule) => over.has(rule);
  }

  /** Stores the rules that wait for a study. The start of each wait is preserved: late instances do not restart it. */
  async note(orthancStudyId: string, waiting: readonly WaitingRule[]): Promise<void> {
    if (waiting.length === 0) {
      await this.#remove(orthancStudyId);
      return;
    }
    const now = this.#now();
    const before = await this.#read(orthancStudyId);
    const since = {
      ...before,
      ...Object.fromEntries(waiting.map(({ rule }) => [rule, Math.min(before[rule] ?? now, now)])),
    };
    const due = Math.min(
      ...waiting.map(({ rule, timeoutMs }) => (timeoutMs > 0 ? (since[rule] ?? now) + timeoutMs : now + lookAgainMs)),
    );
    await this.#redis
      .multi()
      .set(this.#sinceKey(orthancStudyId), JSON.stringify(since), 'PX', keepMs)
      .zadd(this.#dueKey, due, orthancStudyId)
      .exec();
  }

  /** Which of these are remembered. */
  async among(orthancStudyIds: readonly string[]): Promise<ReadonlySet<string>> {
    if (orthancStudyIds.length === 0) return new Set();
    const scores = await this.#redis.zmscore(this.#dueKey, ...orthancStudyIds);
    return new Set(orthancStudyIds.filter((_, at) => scores[at] !== null));
  }

  /** Routes the studies that are due. One that cannot be routed now is checked again soon. */
  async run(route: (orthancStudyId: string) => Promise<SafeOutcome>): Promise<void> {
    const due = await this.#redis.zrangebyscore(this.#dueKey, '-inf', this.#now(), 'LIMIT', 0, batch);
    for (const id of due) {
      if ((await route(id)) === 'put-off') await this.#redis.zadd(this.#dueKey, this.#now() + failedAgainMs, id);
    }
  }

  async #read(orthancStudyId: string): Promise<Partial<Record<string, number>>> {
    const text = await this.#redis.get(this.#sinceKey(orthancStudyId));
    return text === null ? {} : (JSON.parse(text) as Record<string, number>);
  }
}
