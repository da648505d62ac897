export * from './intermediate/index.ts';
export * from './ledger/index.ts';
export * from './objects/index.ts';
export * from './search/index.ts';
export type { RedisClient } from './redis/redis-client.ts';
