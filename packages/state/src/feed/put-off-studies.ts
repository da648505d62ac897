import { redisKeys } from '../keys/redis-keys.ts';
import type { RedisClient } from '../redis/redis-client.ts';
import { redisNow } from '../redis/redis-time.ts';

/** Stored data of a postponed study, as JSON. Times are ms since 1970 by Redis TIME. */
export interface PutOffReason {
  /** Tries that did not succeed. */
  readonly tries: number;
  /** When it was first postponed. */
  readonly since: number;
  readonly code: string;
  readonly message: string;
  /** When Orthanc first reported, without interruption, that it does not have the study. */
  readonly claimedAt?: number | undefined;
}

/** A study of a source that cannot be read for a reason specific to it. */
export interface PutOffStudy extends PutOffReason {
  readonly orthancStudyId: string;
  /** When it is tried again. */
  readonly dueAt: number;
}

/** Postponed studies of a source, earliest due time first. */
export async function listPutOff(
  redis: RedisClient,
  prefix: string,
  source: string,
  limit: number,
): Promise<{ readonly count: number; readonly studies: readonly PutOffStudy[] }> {
  const keys = redisKeys(prefix);
  const [count, places] = await Promise.all([
    redis.zcard(keys.feedLater(source)),
    redis.zrange(keys.feedLater(source), '0', String(limit - 1), 'WITHSCORES'),
  ]);
  const ids = places.filter((_, at) => at % 2 === 0);
  const texts = ids.length > 0 ? await redis.hmget(keys.feedLaterWhy(source), ...ids) : [];
  const studies = ids.map((orthancStudyId, at): PutOffStudy => {
    const dueAt = Number(places[2 * at + 1]);
    const { tries = 0, since = dueAt, code = '', message = 'no reason is known', claimedAt } = parsePutOff(texts[at]);
    return { orthancStudyId, dueAt, tries, since, code, message, claimedAt };
  });
  return { count, studies };
}

/**
 * Makes postponed studies due now: the router that leads the source tries them within a second.
 *
 * @param orthancStudyId - undefined: all of the source
 * @returns their number
 */
export async function tryPutOffNow(
  redis: RedisClient,
  prefix: string,
  source: string,
  orthancStudyId?: string,
): Promise<number> {
  const key = redisKeys(prefix).feedLater(source);
  const now = await redisNow(redis, prefix);
  const ids = orthancStudyId === undefined ? await redis.zrange(key, '0', '-1') : [orthancStudyId];
  if (ids.length === 0) return 0;
  // With XX, a study that has been read meanwhile is not added again.
  const scores = await redis.zmscore(key, ...ids);
  await redis.zadd(key, 'XX', ...ids.flatMap((id) => [now, id]));
  return scores.filter((score) => score !== null).length;
}

/** Earlier versions stored only the number of tries. */
export function parsePutOff(text: string | null | undefined): Partial<PutOffReason> {
  if (text === null || text === undefined) return {};
  const value: unknown = JSON.parse(text);
  if (typeof value === 'number') return { tries: value };
  return typeof value === 'object' && value !== null ? (value as Partial<PutOffReason>) : {};
}
