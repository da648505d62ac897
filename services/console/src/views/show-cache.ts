import type { ViewContext } from './view-context.ts';
import type { CacheState } from './schemas.ts';

/** What Redis holds for us, as far as it can be told without reading it all. */
export async function showCache(context: ViewContext): Promise<CacheState> {
  const { redis, operations } = context;
  const config = context.config();
  const [info, studies, counts, auditEntries] = await Promise.all([
    redis.info('memory'),
    operations.records.studyCount(),
    operations.records.counts(),
    redis.xlen(`${config.redis.prefix}:audit`),
  ]);
  const field = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const deliveries = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return {
    enabled: true,
    usedBytes: field('used_memory'),
    maxBytes: field('maxmemory'),
    groups: [
      { name: 'studies', entries: studies, detail: 'records of studies; kept' },
      { name: 'deliveries', entries: deliveries, detail: 'records, timelines and confirmations of deliveries; kept' },
      { name: 'audit log', entries: auditEntries, detail: 'the latest 200,000 are kept' },
    ],
  };
}
