import type { Command } from 'commander';
import type { ClearOptions } from '../operate/clear-cache.ts';
import type { ShowOptions } from '../operate/show.ts';
import { withConfig, withExamples, withJson, withWatch } from './options.ts';

/** `cache stats` and `cache clear`. */
export function addCacheCommands(program: Command): void {
  const cache = program
    .command('cache')
    .description('look at, or clear, what is kept in Redis and in the cache folder');
  const stats = cache
    .command('stats')
    .description('what is kept, how large it is, and how often the cache helped')
    .action(async (options: ShowOptions) => {
      const { showCacheStats } = await import('../operate/show-cache-stats.ts');
      await showCacheStats(options);
    });
  withExamples(withWatch(withJson(withConfig(stats))), [['cache stats', 'entries, bytes and hit rate by type']]);
  const clear = cache
    .command('clear')
    .description('remove results that are computed once and used by many; records, queues and confirmations stay')
    .option('--type <type>', 'only results of this type')
    .option('-y, --yes', 'do not ask')
    .action(async (options: ClearOptions) => {
      const { clearCache } = await import('../operate/clear-cache.ts');
      await clearCache(options);
    });
  withExamples(withJson(withConfig(clear)), [
    ['cache clear --yes', 'everything: it is computed again when it is needed'],
    ['cache clear --type query', 'results of one type; asks first'],
  ]);
}
