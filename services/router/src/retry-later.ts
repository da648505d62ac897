import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Redis } from '@dicom-dispatch/runtime';

const firstMs = 30_000;
const maxMs = 3_600_000;

/** Studies that could not be read from their source, kept in Redis until they can or are gone. */
export class RetryLater {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #countKey: string;

  constructor(redis: Redis, prefix: string, source: string) {
    this.#redis = redis;
    this.#key = redisKeys(prefix).feedLater(source);
    this.#countKey = `${this.#key}:tries`;
  }

  async add(orthancStudyId: string): Promise<void> {
    const tries = await this.#redis.hincrby(this.#countKey, orthancStudyId, 1);
    const waitMs = Math.min(maxMs, firstMs * 2 ** Math.min(tries - 1, 20));
    await this.#redis.zadd(this.#key, Date.now() + waitMs, orthancStudyId);
  }

  /** Tries those whose time has come; what fails again waits longer. */
  async run(route: (orthancStudyId: string) => Promise<unknown>): Promise<void> {
    const due = await this.#redis.zrangebyscore(this.#key, '-inf', Date.now(), 'LIMIT', 0, 10);
    for (const id of due) {
      try {
        await route(id);
        await this.#redis.multi().zrem(this.#key, id).hdel(this.#countKey, id).exec();
      } catch {
        await this.add(id);
      }
    }
  }
}
