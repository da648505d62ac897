import { redisKeys } from '@dicom-dispatch/state/keys';
import { createHash } from 'node:crypto';
import type { Redis } from '@dicom-dispatch/runtime';

const windowSeconds = 15 * 60;
const mostByName = 20;
const mostByAddress = 40;

/** Counts failed sign-ins by name and by address, over all consoles: guessing gets slow, whoever guesses. */
export class SignInLimit {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  async isExceeded(name: string, address: string): Promise<boolean> {
    const [byName, byAddress] = await this.#redis.mget(this.#key('name', name), this.#key('address', address));
    return Number(byName ?? 0) >= mostByName || Number(byAddress ?? 0) >= mostByAddress;
  }

  async failed(name: string, address: string): Promise<void> {
    const change = this.#redis.multi();
    for (const key of [this.#key('name', name), this.#key('address', address)]) {
      change.incr(key).expire(key, windowSeconds);
    }
    await change.exec();
  }

  async succeeded(name: string): Promise<void> {
    await this.#redis.del(this.#key('name', name));
  }

  /** What somebody typed as a name may be a password: only its hash is kept. */
  #key(kind: string, value: string): string {
    return redisKeys(this.#prefix).signIn(kind, createHash('sha256').update(value).digest('base64url'));
  }
}
