export type {
  CachedStream,
  CachedValue,
  CacheEntry,
  CacheStats,
  CacheWarning,
  CacheWarningCode,
  Lookup,
  PutOptions,
  PutResult,
  TypeStats,
} from './cache-types.ts';
export { bytesCodec, jsonCodec, type Codec } from './codec.ts';
export { IntermediateCache, type CacheOptions, type ComputeOnceOptions } from './intermediate-cache.ts';
export type { CacheAudit } from './maintenance.ts';
export { resultTypes, type CachePolicy } from './policy.ts';
export type { ComputedStream } from './stream-once.ts';
