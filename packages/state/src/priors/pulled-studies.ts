import { DispatchError } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { defineScript } from '../redis/script.ts';

/**
 * KEYS: lock. ARGV: token, ms. Also renews the lease of its owner. A remaining time above the maximum is from a time
 * when the clock of Redis was ahead.
 */
const leaseScript = defineScript(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and redis.call('PTTL', KEYS[1]) <= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`);
const releaseScript = defineScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`);

/** How long the instances of a pull that never ended are kept. */
const keptMs = 7 * 86_400_000;

/**
 * Instances that are being pulled into a source as priors, by Study Instance UID: while a pull is running the router
 * must not treat them as an arriving study. After its end the record of the study shows this (`pulled`).
 */
export class PulledStudies {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  /** An instance is about to be stored in the source. */
  async expect(source: string, studyInstanceUid: string, sopInstanceUid: string): Promise<void> {
    const key = this.#key(source, studyInstanceUid);
    await this.#run(() => this.#redis.multi().sadd(key, sopInstanceUid).pexpire(key, keptMs).exec());
  }

  /** The pull did not store it: it failed, or the instance was already present. */
  async retract(source: string, studyInstanceUid: string, sopInstanceUid: string): Promise<void> {
    await this.#run(() => this.#redis.srem(this.#key(source, studyInstanceUid), sopInstanceUid));
  }

  /** The instances of a running pull; an empty set if none is running. */
  async underWay(source: string, studyInstanceUid: string): Promise<ReadonlySet<string>> {
    return new Set(await this.#run(() => this.#redis.smembers(this.#key(source, studyInstanceUid))));
  }

  /**
   * Leases the pull of a study to one process until the lease expires.
   *
   * @returns false if another process has the lease
   */
  async lease(source: string, studyInstanceUid: string, token: string, leaseMs: number): Promise<boolean> {
    const keys = [`${this.#key(source, studyInstanceUid)}:lock`];
    return (await this.#run(() => leaseScript.run(this.#redis, keys, [token, leaseMs]))) === 1;
  }

  async release(source: string, studyInstanceUid: string, token: string): Promise<void> {
    const keys = [`${this.#key(source, studyInstanceUid)}:lock`];
    await this.#run(() => releaseScript.run(this.#redis, keys, [token]));
  }

  async end(source: string, studyInstanceUid: string): Promise<void> {
    await this.#run(() => this.#redis.unlink(this.#key(source, studyInstanceUid)));
  }

  #key(source: string, studyInstanceUid: string): string {
    return redisKeys(this.#prefix).pulling(source, studyInstanceUid);
  }

  async #run<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for a pull', { cause: error });
    }
  }
}
