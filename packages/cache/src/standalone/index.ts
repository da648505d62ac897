export { closeCache, configureCache, getCache } from './default-cache.ts';
export { openCache, type PlainCacheOptions } from './open-cache.ts';
