export {
  createCachedFinder,
  createCachedSearch,
  createCachedSearcher,
  type CachedFinder,
  type CachedSearch,
  type CachedSearcher,
  type CachedSearcherOptions,
  type Searcher,
  type SearchOptions,
  type StudyFinder,
  type StudySearcher,
} from './cached-searcher.ts';
export { QueryCache } from './query-cache.ts';
