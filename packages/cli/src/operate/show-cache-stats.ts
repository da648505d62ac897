import { IntermediateCache } from '@dicom-dispatch/cache';
import { showCache } from '@dicom-dispatch/console/views';
import { formatBytes } from '@dicom-dispatch/core';
import { formatTable } from './print-table.ts';
import { show, type ShowOptions } from './show.ts';
import type { System } from './with-system.ts';

/** Content of Redis, and the effect of the cache of intermediate results. */
export async function showCacheStats(options: ShowOptions): Promise<void> {
  await show(options, readCacheStats, ({ redis, results }) => {
    const records = formatTable(
      ['what', 'entries', 'remark'],
      redis.groups.map(({ name, entries, detail }) => [name, entries, detail]),
    );
    const ofTypes = formatTable(
      ['results', 'entries', 'in redis', 'in folders', 'hits', 'misses', 'hit rate', 'evicted', 'expired'],
      Object.entries(results?.types ?? {}).map(([type, one]) => [
        type,
        one.entries,
        formatBytes(one.bytes),
        formatBytes(one.fileBytes),
        one.hits,
        one.misses,
        `${Math.round(one.hitRate * 100)} %`,
        one.evictions,
        one.expired,
      ]),
    );
    const limit = redis.maxBytes > 0 ? ` of ${formatBytes(redis.maxBytes)}` : '';
    return `${records}\n\n${ofTypes}\n\nRedis uses ${formatBytes(redis.usedBytes)}${limit} in all`;
  });
}

export async function readCacheStats(system: System) {
  const config = system.config();
  // Reading needs no folder, and this machine may have none.
  const cache = await IntermediateCache.open(
    system.redis,
    { ...config.cache, folder: undefined },
    { prefix: config.redis.prefix },
  );
  const [redis, results] = await Promise.all([showCache(system), cache.stats()]);
  return { redis, enabled: config.cache.enabled, results };
}
