import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Redis } from '@dicom-dispatch/runtime';
import { redisKeys } from '@dicom-dispatch/state/keys';

/**
 * KEYS: lease, generation. ARGV: token, duration, id of the generation.
 * Lost data must not be treated as those of a new system: no router leads until they are recovered.
 */
const acquireScript = `
local found = redis.call('HMGET', KEYS[2], 'id', 'lost')
if found[1] ~= ARGV[3] or found[2] then return 0 end
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
-- One that lasts longer than any is of a time when the clock of Redis was ahead.
if holder and redis.call('PTTL', KEYS[1]) <= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`;
const releaseScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`;

export interface LeaseDependencies {
  readonly redis: Redis;
  readonly prefix: string;
  readonly source: string;
  readonly durationMs: number;
  /** The generation of Redis that this process relies on. */
  generation(): string | undefined;
}

/**
 * The leadership of one source, held in Redis for `durationMs` and renewed well before. Its holder passes its
 * token to each critical write, where Redis compares it.
 */
export class Lease {
  readonly key: string;
  /** Name of the process for operators, a space, and a unique id. */
  readonly token: string = `${hostname()}:${process.pid} ${randomUUID()}`;
  readonly #dependencies: LeaseDependencies;
  /** By our own clock, counted from before the request to Redis: never later than Redis' own expiry. */
  #heldUntil = 0;

  constructor(dependencies: LeaseDependencies) {
    this.#dependencies = dependencies;
    this.key = redisKeys(dependencies.prefix).lease(dependencies.source);
  }

  /** Whether it is certainly still ours. */
  get isHeld(): boolean {
    return performance.now() < this.#heldUntil;
  }

  /** Acquires the lease if it is free, or renews it if it is ours. */
  async acquire(): Promise<boolean> {
    const { redis, prefix, durationMs } = this.#dependencies;
    const generation = this.#dependencies.generation();
    if (generation === undefined) return false;
    const asked = performance.now();
    const keys = [this.key, redisKeys(prefix).generation] as const;
    const isOurs = (await redis.eval(acquireScript, keys.length, ...keys, this.token, durationMs, generation)) === 1;
    this.#heldUntil = isOurs ? asked + durationMs : 0;
    return isOurs;
  }

  async release(): Promise<void> {
    this.#heldUntil = 0;
    await this.#dependencies.redis.eval(releaseScript, 1, this.key, this.token);
  }
}
