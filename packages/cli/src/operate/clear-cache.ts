import { IntermediateCache } from '@dicom-dispatch/cache';
import { CommandError, exitCodes } from '../exit.ts';
import { confirm } from './confirm.ts';
import { withSystem } from './with-system.ts';

export interface ClearOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly yes?: boolean;
}

/** Removes intermediate results, of one type or all. Files in folders of other machines are removed there, by their sweep. */
export async function clearCache(type: string | undefined, { config: file, json, yes }: ClearOptions): Promise<void> {
  await withSystem(file, async (system) => {
    const config = system.config();
    const cache = await IntermediateCache.open(system.redis, config.cache, { prefix: config.redis.prefix });
    const stats = await cache.stats();
    if (!stats) throw new CommandError('Redis no longer responds', exitCodes.unreachable);
    const of = type === undefined ? stats : stats.types[type];
    if (!of) {
      const known = Object.keys(stats.types).join(', ') || 'none';
      throw new CommandError(`no results of type "${type}" exist in the cache; types: ${known}`, exitCodes.notFound);
    }
    const which = type === undefined ? 'kept results' : `kept results of type ${type}`;
    if (of.entries > 0 && yes !== true) await confirm(`this removes ${of.entries} ${which}`);
    const removed = await system.audited({ action: 'clear cache', subject: type ?? 'all' }, () => cache.clear(type));
    console.log(json === true ? JSON.stringify({ removed }) : `${removed} ${which} removed`);
  });
}
