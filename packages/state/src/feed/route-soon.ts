import { redisKeys } from '../keys/redis-keys.ts';
import type { RedisClient } from '../redis/redis-client.ts';
import { redisNow } from '../redis/redis-time.ts';

/** Data of a study that is not sent again, or only in part, until it changes. */
export interface SettledStudy {
  /** Its LastUpdate at the request: if it has changed since, it is routed as any other. */
  readonly lastUpdate: string | undefined;
  /** Targets and groups that get it; the others had it. Empty: all had. */
  readonly only: readonly string[];
  /** By Redis TIME. */
  readonly routedAt: number;
}

/**
 * Makes the router that leads the source route a study once more, within a second; unless it has changed, only to these
 * targets.
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
