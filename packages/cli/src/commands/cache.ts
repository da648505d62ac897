import type { Command } from 'commander';
import type { ClearOptions } from '../operate/clear-cache.ts';
import type { ShowOptions } from '../operate/show.ts';
import { withConfig, withExamples, withJson, withWatch } from './options.ts';

/** `cache stats` and `cache clear`. */
export function addCacheCommands(program: Command): void {
  const cache = program.command('cache').description('show or clear the cache in Redis and in the cache folder');
  const stats = cache
    .command('stats')
    .description('content, size and hit rate of the cache')
    .action(async (options: ShowOptions) => {
      const { showCacheStats } = await import('../operate/show-cache-stats.ts');
      await showCacheStats(options);
    });
  withExamples(withWatch(withJson(withConfig(stats))), [['cache stats', 'entries, bytes and hit rate by type']]);
  const clear = cache
    .command('clear')
    .description('remove cached results; records, queues and confirmations are not affected')
    .argument('[type]', 'only results of this type')
    .option('-y, --yes', 'do not ask for confirmation')
    .action(async (type: string | undefined, options: ClearOptions) => {
      const { clearCache } = await import('../operate/clear-cache.ts');
      await clearCache(type, options);
    });
  withExamples(withJson(withConfig(clear)), [
    ['cache clear --yes', 'remove everything; results are computed again when needed'],
    ['cache clear query', 'results of one type, after confirmation'],
  ]);
}
