export { createCachedSearcher, type Searcher, type SearchOptions } from './cached-searcher.ts';
export { QueryCache } from './query-cache.ts';
