import { feedCopyField, readFeedState, type FeedState } from '@dicom-dispatch/state/feed';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { defineScript } from '@dicom-dispatch/state/redis';
import type { Redis } from '@dicom-dispatch/runtime';

/**
 * KEYS: feed, lease, sweep. ARGV: token of the lease, JSON of the state, field of the copy, '1' to write only if it is
 * missing. Returns 0 without the lease, 2 if the feed was missing, otherwise 1. The fence: a leader that was paused and has
 * lost its lease cannot move the cursor.
 */
const writeScript = defineScript(`
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local isMissing = redis.call('EXISTS', KEYS[1]) == 0
if ARGV[4] == '1' and not isMissing and redis.call('HEXISTS', KEYS[3], ARGV[3]) == 1 then return 1 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[2])
return isMissing and 2 or 1
`);

/** The durable cursor of one source. */
export class FeedStore {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #source: string;
  readonly #leaseKey: string;

  constructor(redis: Redis, prefix: string, source: string, leaseKey: string) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#source = source;
    this.#leaseKey = leaseKey;
  }

  read(): Promise<FeedState | undefined> {
    return readFeedState(this.#redis, this.#prefix, this.#source);
  }

  /** @returns false if the lease is no longer ours; nothing is written then */
  async write(state: FeedState, token: string): Promise<boolean> {
    return (await this.#run(state, token, '')) !== 0;
  }

  /**
   * Restores the state if its key was removed from Redis.
   *
   * @returns `gone` if the lease is no longer ours, `restored` if the key was missing
   */
  async keep(state: FeedState, token: string): Promise<'kept' | 'restored' | 'gone'> {
    return (['gone', 'kept', 'restored'] as const)[await this.#run(state, token, '1')] ?? 'kept';
  }

  async #run(state: FeedState, token: string, onlyMissing: '' | '1'): Promise<number> {
    const keys = redisKeys(this.#prefix);
    return Number(
      await writeScript.run(
        this.#redis,
        [keys.feed(this.#source), this.#leaseKey, keys.sweep(this.#source)],
        [token, JSON.stringify(state), feedCopyField, onlyMissing],
      ),
    );
  }
}
