import { redisKeys } from '../keys/redis-keys.ts';
import type { RedisClient } from '../redis/redis-client.ts';
import { redisNow } from '../redis/redis-time.ts';

/** Data of a study that is not sent again, or only in part, until it changes. */
export interface SettledStudy {
  /** Orthanc's LastUpdate of the study at the request: if it has changed since, the study is routed like any other. */
  readonly lastUpdate: string | undefined;
  /** Targets and groups to which it is sent; the others already have it. Empty: all have it. */
  readonly only: readonly string[];
  /** By Redis TIME (ms since 1970). */
  readonly routedAt: number;
}

/**
 * Makes the router that leads the source route a study again within a second: to the targets `only`, or, if the study
 * has changed, by its rules.
 */
export async function routeSoon(
  redis: RedisClient,
  prefix: string,
  study: { readonly source: string; readonly orthancStudyId: string } & Pick<SettledStudy, 'lastUpdate' | 'routedAt'>,
  only: readonly string[],
): Promise<void> {
  const { source, orthancStudyId, lastUpdate, routedAt } = study;
  const keys = redisKeys(prefix);
  const settled: SettledStudy = { lastUpdate, only, routedAt };
  const now = await redisNow(redis, prefix);
  await redis
    .multi()
    .hset(keys.settled(source), orthancStudyId, JSON.stringify(settled))
    .zadd(keys.waits(source), now, orthancStudyId)
    .exec();
}

/** Makes the router that leads the source route an unknown study, within a second, by its rules. */
export async function routeAnew(
  redis: RedisClient,
  prefix: string,
  { source, orthancStudyId }: { readonly source: string; readonly orthancStudyId: string },
): Promise<void> {
  await redis.zadd(redisKeys(prefix).waits(source), await redisNow(redis, prefix), orthancStudyId);
}
