import { redisKeys } from '../keys/redis-keys.ts';
import type { RedisClient } from '../redis/redis-client.ts';

/** Something that the router does for a source, and that does not go. Times are ms since 1970 by Redis TIME. */
export interface FailingPart {
  readonly since: number;
  readonly code: string;
  readonly message: string;
}

/** Status of a source, reported by the router that leads it. */
export interface SourceStatus {
  readonly at: number;
  /** What does not go now. */
  readonly failing: { readonly [Part in SourcePart]?: FailingPart };
  /** Changes between the cursor and the newest. */
  readonly lag: number;
  /** When the cursor last moved, or was found at the end of the feed. */
  readonly movedAt: number | undefined;
  /** By how much the source's clock is ahead of Redis. */
  readonly skewMs: number | undefined;
  /** The last time that the source's clock was set. */
  readonly jump: { readonly ms: number; readonly at: number } | undefined;
  /** The source, named before this one, that is on the same database: this one is not followed because of it. */
  readonly sameAs: string | undefined;
}

/**
 * - `feed`: following the change feed
 * - `sweep`: comparing all studies with the routed ones
 * - `waiting`: checking studies that were incomplete
 * - `put-off`: trying studies again that could not be read
 * - `take-back`: checking whether studies that had left the source have returned
 * - `forgetting`: removing data of studies that have left the source
 * - `batches`: routing studies of batches
 */
export const sourceParts = ['feed', 'sweep', 'waiting', 'put-off', 'take-back', 'forgetting', 'batches'] as const;
export type SourcePart = (typeof sourceParts)[number];

/** How long it is believed; it is written more often. */
const keptMs = 30_000;

export async function readSourceStatus(
  redis: RedisClient,
  prefix: string,
  source: string,
): Promise<SourceStatus | undefined> {
  const text = await redis.get(redisKeys(prefix).feedStatus(source));
  return text === null ? undefined : (JSON.parse(text) as SourceStatus);
}

export async function writeSourceStatus(
  redis: RedisClient,
  prefix: string,
  source: string,
  status: SourceStatus,
): Promise<void> {
  await redis.set(redisKeys(prefix).feedStatus(source), JSON.stringify(status), 'PX', keptMs);
}
