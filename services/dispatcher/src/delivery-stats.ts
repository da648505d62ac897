import { redisKeys } from '@dicom-dispatch/state/keys';
import type { DeliveryState } from '@dicom-dispatch/state/records';
import type { Redis } from '@dicom-dispatch/runtime';

const minuteMs = 60_000;
const keepSeconds = 2 * 24 * 3600;

/** What went through each target, by the minute, for the plots of the console: `<prefix>:stats:<target>:<minute>`. */
export class DeliveryStats {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  async bytes(target: string, bytes: number): Promise<void> {
    if (bytes > 0) await this.#add(target, 'bytes', bytes);
  }

  async ended(target: string, state: DeliveryState): Promise<void> {
    await this.#add(target, state, 1);
  }

  async #add(target: string, field: string, amount: number): Promise<void> {
    const key = redisKeys(this.#prefix).stats(target, Math.floor(Date.now() / minuteMs));
    const sum = await this.#redis.hincrby(key, field, amount);
    // The first of its minute. No transaction for this: each makes ioredis look at all scripts of BullMQ.
    if (sum === amount) await this.#redis.expire(key, keepSeconds);
  }
}
