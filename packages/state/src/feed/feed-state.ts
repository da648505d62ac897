import { redisKeys } from '../keys/redis-keys.ts';
import type { RedisClient } from '../redis/redis-client.ts';

/** A change that was seen. If the feed has another change with this number, it is the feed of another database. */
export interface Fingerprint {
  readonly seq: number;
  readonly id: string;
  readonly date: string;
}

/** How far a source's change feed has been followed. */
export interface FeedState {
  /** Number of the current epoch of the source's database: 1 for the first, incremented after it was emptied or restored. */
  readonly epoch: number;
  /** Every change up to this one has been dealt with. */
  readonly seq: number;
  readonly fingerprint: Fingerprint | undefined;
  /** Earlier changes of other studies, which identify the database if the last one was deleted; oldest first. */
  readonly anchors?: readonly Fingerprint[];
  /**
   * Only studies that changed at or after this time are routed, `YYYYMMDDTHHMMSS` by the clock of the source, or empty for all.
   */
  readonly since: string;
  /**
   * The last change when the source was first seen, unless following starts later: changes with a higher number are routed,
   * regardless of their dates. Undefined in a later epoch of the database, whose numbers start again.
   */
  readonly beganAt?: number;
  /**
   * With another `startFrom`, the time by the clock of the source when it was first seen, `YYYYMMDDTHHMMSS`: studies
   * without changes since then are delivered after new ones. Undefined in a later epoch of the database.
   */
  readonly firstSeen?: string;
  /**
   * With `startFrom: now`, by the clock of the source: changes up to `beganAt` that are dated between `since` and this
   * time are routed, because they arrived while the source was first seen. A later date comes from a wrong clock.
   */
  readonly datedUpTo?: string;
  /** Changes up to this one are never read again: whether they were processed is no longer recorded. */
  readonly floor?: number;
}

/** Changes that identify the database of a source, newest first. */
export function seenChanges(state: Pick<FeedState, 'fingerprint' | 'anchors'>): Fingerprint[] {
  return [...(state.fingerprint ? [state.fingerprint] : []), ...(state.anchors ?? []).toReversed()];
}

/**
 * The state is stored twice, in the key of the feed and in this field of the key of the sweep: if only one of them is
 * lost, the archive is not sent again, and no changes are skipped.
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

/** Sets the state without a lease: only if no router leads the source. */
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
