import { redisKeys } from '../keys/redis-keys.ts';
import type { RedisClient } from '../redis/redis-client.ts';

/** A task of the router for a source that is failing. Times are ms since 1970 by Redis TIME. */
export interface FailingPart {
  readonly since: number;
  readonly code: string;
  readonly message: string;
}

/** Status of a source, reported by the router that leads it. */
export interface SourceStatus {
  readonly at: number;
  /** Tasks that are failing now. */
  readonly failing: { readonly [Part in SourcePart]?: FailingPart };
  /** Changes between the cursor and the newest. */
  readonly lag: number;
  /** When the cursor last moved, or was found at the end of the feed. */
  readonly movedAt: number | undefined;
  /** By how much the source's clock is ahead of Redis. */
  readonly skewMs: number | undefined;
  /** The last time that the source's clock was set. */
  readonly jump: { readonly ms: number; readonly at: number } | undefined;
  /** Another source with the same database, which is followed instead of this one. */
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

/** How long a status is valid; the router writes it more often. */
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
