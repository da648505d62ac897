import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Redis } from '@dicom-dispatch/runtime';

/** Notes in Redis on whether the next sweep of a source waits. */
export class SweepNotes {
  readonly #redis: Redis;
  readonly #key: string;

  constructor(redis: Redis, prefix: string, source: string) {
    this.#redis = redis;
    this.#key = redisKeys(prefix).sweep(source);
  }

  /**
   * Redis has lost data: the next sweep begins with the first study and does not wait, because the feed does not announce lost
   * studies again.
   */
  async restart(): Promise<void> {
    await this.#redis.multi().hset(this.#key, { place: 0, isUrgent: 1 }).hdel(this.#key, 'startedAt').exec();
  }

  /** The source has another database: the next sweep begins with the first study. */
  async beginAgain(): Promise<void> {
    await this.#redis.hset(this.#key, { place: 0 });
  }

  async isUrgent(): Promise<boolean> {
    return (await this.#redis.hget(this.#key, 'isUrgent')) !== null;
  }

  /** The sweep waits by design at this time: the health check must not report it. */
  async waits(now: number): Promise<void> {
    await this.#redis.hset(this.#key, 'waitedAt', now);
  }

  /** A sweep has ended: the next one may wait. */
  async ended(): Promise<void> {
    await this.#redis.hdel(this.#key, 'isUrgent');
  }
}
