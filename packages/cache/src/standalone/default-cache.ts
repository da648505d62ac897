import type { IntermediateCache } from '../intermediate/intermediate-cache.ts';
import { openCache, type PlainCacheOptions } from './open-cache.ts';

/** For scripts only: services open their caches and pass them on. */
let configured: IntermediateCache | undefined;

/** Opens the default cache of this process, in the place of a former one, which is closed. @throws as `openCache` */
export async function configureCache(options: PlainCacheOptions): Promise<IntermediateCache> {
  const opened = await openCache(options);
  await configured?.close();
  configured = opened;
  return opened;
}

/** The default cache. @throws {Error} if there is none */
export function getCache(): IntermediateCache {
  if (!configured) {
    throw new Error("There is no default cache. Call await configureCache({ redis: 'redis://HOST:PORT' }) first.");
  }
  return configured;
}

/** Closes the default cache, so that the process can end. */
export async function closeCache(): Promise<void> {
  await configured?.close();
  configured = undefined;
}
