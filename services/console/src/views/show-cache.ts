import type { ViewContext } from './view-context.ts';
import { IntermediateCache, type CacheStats } from '@dicom-dispatch/cache/intermediate';
import { formatDuration } from '@dicom-dispatch/core';
import { readInfo } from '@dicom-dispatch/runtime';
import type { CacheState } from './schemas.ts';

/** Content of Redis, as far as it can be determined without reading everything. */
export async function showCache(context: ViewContext): Promise<CacheState> {
  const { redis, operations } = context;
  const config = context.config();
  const [info, studies, counts, auditEntries, results] = await Promise.all([
    readInfo(redis, config.redis.prefix, 'memory'),
    operations.records.studyCount(),
    operations.records.counts(),
    redis.xlen(`${config.redis.prefix}:audit`),
    readCacheStats(context),
  ]);
  const field = (name: string): number => Number(info?.get(name) ?? 0);
  const { keep } = config.records;
  const kept =
    keep === 'forever'
      ? 'kept without limit'
      : `kept while in their source, and for ${inDays(keep)} after the last change`;
  const deliveries = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return {
    ...(results && { results: { enabled: config.cache.enabled, ...results } }),
    usedBytes: field('used_memory'),
    maxBytes: field('maxmemory'),
    groups: [
      { name: 'studies', entries: studies, detail: `records of studies; ${kept}` },
      {
        name: 'deliveries',
        entries: deliveries,
        detail: 'records, timelines and confirmations of deliveries; as long as their studies',
      },
      { name: 'audit log', entries: auditEntries, detail: auditKept(config.console.audit) },
    ],
  };
}

function auditKept({ maxEntries, keep }: { readonly maxEntries: number; readonly keep: number }): string {
  const count = `the latest ${maxEntries.toLocaleString('en')} are kept`;
  return keep === 0 ? count : `${count}, for ${inDays(keep)} at most`;
}

function inDays(ms: number): string {
  const days = ms / 86_400_000;
  return days >= 2 ? `${Math.round(days)} days` : formatDuration(ms);
}

/** Statistics of the cache of intermediate results; undefined if Redis does not respond. */
export async function readCacheStats({
  redis,
  config,
}: Pick<ViewContext, 'redis' | 'config'>): Promise<CacheStats | undefined> {
  const {
    cache: settings,
    redis: { prefix },
  } = config();
  // Reading needs no folder, and this machine may have none.
  const cache = await IntermediateCache.open(redis, { ...settings, folder: undefined }, { prefix });
  return cache.stats();
}
