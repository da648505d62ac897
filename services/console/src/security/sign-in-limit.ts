import { createHash } from 'node:crypto';
import type { Redis } from '@dicom-dispatch/runtime';
import { redisKeys, type RedisKeys } from '@dicom-dispatch/state/keys';

/** Failures are counted in windows of this length; those of the current and the previous window are added. */
const windowMs = 8 * 60_000;
/** Number of counters of one byte, in one string per kind and window: Redis stores at most 16 kB for each, for any number of names. */
const counters = 16_384;
const limits = { name: 20, device: 10 } as const;

/** KEYS: current window, previous window. ARGV: counter, limit, lifetime in ms. Counts an attempt; returns 0 if there were too many. */
const beginScript = `
local now = redis.call('BITFIELD', KEYS[1], 'GET', 'u8', ARGV[1])[1]
local past = redis.call('BITFIELD', KEYS[2], 'GET', 'u8', ARGV[1])[1]
if now + past >= tonumber(ARGV[2]) then return 0 end
redis.call('BITFIELD', KEYS[1], 'OVERFLOW', 'SAT', 'INCRBY', 'u8', ARGV[1], 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`;

/** The counter of an attempt: of the name, or of the browser if the user has signed in there before. */
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
