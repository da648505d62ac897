import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Redis } from '@dicom-dispatch/runtime';

const renewScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
`;
const releaseScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`;

/**
 * The leadership of one source, held in Redis for `durationMs` and renewed well before. Whoever holds it carries its
 * token along to each write that matters, where Redis compares it.
 */
export class Lease {
  readonly key: string;
  /** Names the process for people, and after a space what no other has. */
  readonly token: string = `${hostname()}:${process.pid} ${randomUUID()}`;
  readonly #redis: Redis;
  readonly #durationMs: number;
  /** By our own clock, counted from before Redis was asked: never later than Redis' own end of it. */
  #heldUntil = 0;

  constructor(redis: Redis, key: string, durationMs: number) {
    this.#redis = redis;
    this.key = key;
    this.#durationMs = durationMs;
  }

  /** Whether it is surely still ours. */
  get isHeld(): boolean {
    return performance.now() < this.#heldUntil;
  }

  /** Takes the lease when it is free, or renews it when it is ours. */
  async acquire(): Promise<boolean> {
    const asked = performance.now();
    const renewed = await this.#redis.eval(renewScript, 1, this.key, this.token, this.#durationMs);
    const isOurs =
      renewed === 1 || (await this.#redis.set(this.key, this.token, 'PX', this.#durationMs, 'NX')) === 'OK';
    this.#heldUntil = isOurs ? asked + this.#durationMs : 0;
    return isOurs;
  }

  async release(): Promise<void> {
    this.#heldUntil = 0;
    await this.#redis.eval(releaseScript, 1, this.key, this.token);
  }
}
