import { createHash } from 'node:crypto';
import type { Redis } from '@dicom-dispatch/runtime';
import { redisKeys, type RedisKeys } from '@dicom-dispatch/state/keys';

/** Failures count in windows of this length; those of this and the one before count. */
const windowMs = 8 * 60_000;
/** Counters of one byte each, in one string: for any number of names, Redis stores 16 kB per window. */
const counters = 16_384;
const limits = { name: 20, device: 10 } as const;

/** KEYS: this window, the one before. ARGV: counter, limit, ms. Counts an attempt unless there were too many: then gives 0. */
const beginScript = `
local now = redis.call('BITFIELD', KEYS[1], 'GET', 'u8', ARGV[1])[1]
local past = redis.call('BITFIELD', KEYS[2], 'GET', 'u8', ARGV[1])[1]
if now + past >= tonumber(ARGV[2]) then return 0 end
redis.call('BITFIELD', KEYS[1], 'OVERFLOW', 'SAT', 'INCRBY', 'u8', ARGV[1], 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`;

/** What an attempt counts against: the name, or, on a browser that has signed in under it before, that browser. */
export interface Attempt {
  readonly kind: keyof typeof limits;
  readonly value: string;
}

/**
 * Counts failed sign-ins, over all consoles. An attempt is counted before its password is checked, so that parallel attempts
 * cannot exceed the limit, and subtracted if it was right. Addresses are not locked: many people share that of a proxy.
 */
export class SignInLimit {
  readonly #redis: Redis;
  readonly #keys: RedisKeys;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#keys = redisKeys(prefix);
  }

  /** Counts an attempt. @returns a function that subtracts it; undefined if it is not allowed */
  async begin({ kind, value }: Attempt): Promise<{ takeBack(): Promise<void> } | undefined> {
    const window = Math.floor(Date.now() / windowMs);
    const key = this.#keys.signIn(kind, window);
    const before = this.#keys.signIn(kind, window - 1);
    const counter = `#${counterOf(value)}`;
    if ((await this.#redis.eval(beginScript, 2, key, before, counter, limits[kind], 2 * windowMs)) !== 1)
      return undefined;
    return {
      takeBack: async () =>
        void (await this.#redis.call('BITFIELD', key, 'OVERFLOW', 'SAT', 'INCRBY', 'u8', counter, '-1')),
    };
  }
}

function counterOf(value: string): number {
  return createHash('sha256').update(value).digest().readUInt32BE() % counters;
}
