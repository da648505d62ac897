import { readFeedState, type FeedState } from '@dicom-dispatch/state/feed';
import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Redis } from '@dicom-dispatch/runtime';

/**
 * KEYS: feed, lease. ARGV: token of the lease, JSON of the state.
 * The fence: a leader that was paused and has lost its lease cannot move the cursor.
 */
const writeScript = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
`;

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

  /** @returns false when the lease is no longer ours; nothing is written then */
  async write(state: FeedState, token: string): Promise<boolean> {
    const keys = [redisKeys(this.#prefix).feed(this.#source), this.#leaseKey] as const;
    return (await this.#redis.eval(writeScript, keys.length, ...keys, token, JSON.stringify(state))) === 1;
  }
}
