export * from './intermediate/index.ts';
export * from './ledger/index.ts';
export type { RedisClient } from './redis/redis-client.ts';
