import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Redis } from '@dicom-dispatch/runtime';

/** A change that was seen: when the feed has another one under the same number, it is not the feed it was. */
export interface Fingerprint {
  readonly seq: number;
  readonly id: string;
  readonly date: string;
}

/** How far a source's change feed has been followed. */
export interface FeedState {
  /** Counts the lives of the source's database: 1 for the first, more after it was wiped or restored. */
  readonly epoch: number;
  /** Every change up to this one has been dealt with. */
  readonly seq: number;
  readonly fingerprint: Fingerprint | undefined;
  /** Only studies that changed at or after this time are routed, `YYYYMMDDTHHMMSS` or empty for all. */
  readonly since: string;
}

/**
 * KEYS: feed, lease. ARGV: token of the lease, JSON of the state.
 * The fence: a leader that was paused and has lost its lease cannot move the cursor.
 */
const writeScript = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
`;

function feedKey(prefix: string, source: string): string {
  return redisKeys(prefix).feed(source);
}

export async function readFeedState(redis: Redis, prefix: string, source: string): Promise<FeedState | undefined> {
  const text = await redis.get(feedKey(prefix, source));
  return text === null ? undefined : (JSON.parse(text) as FeedState);
}

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
    return (
      (await this.#redis.eval(
        writeScript,
        2,
        feedKey(this.#prefix, this.#source),
        this.#leaseKey,
        token,
        JSON.stringify(state),
      )) === 1
    );
  }
}
