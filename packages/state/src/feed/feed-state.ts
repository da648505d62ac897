import { redisKeys } from '../keys/redis-keys.ts';
import type { RedisClient } from '../redis/redis-client.ts';

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
  /** Earlier changes of other studies, by which the database is known when the last one was deleted; oldest first. */
  readonly anchors?: readonly Fingerprint[];
  /**
   * Only studies that changed at or after this time are routed, `YYYYMMDDTHHMMSS` by the clock of the source, or empty for all.
   */
  readonly since: string;
  /**
   * The last change when the source was seen for the first time, unless it is to begin later: what has a higher number is routed,
   * whatever its date says. Undefined in a later life of the database, whose numbers begin anew.
   */
  readonly beganAt?: number;
  /**
   * With another `startFrom`, the time by the clock of the source when it was seen for the first time, `YYYYMMDDTHHMMSS`: studies
   * that have not changed since are delivered after those that come. Undefined in a later life of the database.
   */
  readonly firstSeen?: string;
  /**
   * With `startFrom: now`, the time by the clock of the source up to which a change may be dated that was there when the source was seen
   * for the first time, and is to be routed all the same: it came at that moment. A later date is a wrong one.
   */
  readonly datedUpTo?: string;
  /** Changes up to this one are never read again: whether they were dealt with cannot be looked up any more. */
  readonly floor?: number;
}

/** Changes by which the database of a source is known, the newest first. */
export function seenChanges(state: Pick<FeedState, 'fingerprint' | 'anchors'>): Fingerprint[] {
  return [...(state.fingerprint ? [state.fingerprint] : []), ...(state.anchors ?? []).toReversed()];
}

/**
 * The state is kept twice, in the key of the feed and in this field of the key of the sweep: should one of them be lost alone, neither is the
 * archive sent again, nor is anything passed over.
 */
export const feedCopyField = 'feed';

export async function readFeedState(
  redis: RedisClient,
  prefix: string,
  source: string,
): Promise<FeedState | undefined> {
  const keys = redisKeys(prefix);
  const [text, copy] = await Promise.all([redis.get(keys.feed(source)), redis.hget(keys.sweep(source), feedCopyField)]);
  const found = text ?? copy;
  return found === null ? undefined : (JSON.parse(found) as FeedState);
}

/** Sets the state whoever leads the source: only where none does. */
export async function writeFeedState(
  redis: RedisClient,
  prefix: string,
  source: string,
  state: FeedState,
): Promise<void> {
  const keys = redisKeys(prefix);
  const text = JSON.stringify(state);
  await redis.multi().set(keys.feed(source), text).hset(keys.sweep(source), feedCopyField, text).exec();
}
