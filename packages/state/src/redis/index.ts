export type { RedisClient } from './redis-client.ts';
export { defineScript, type Script } from './script.ts';
export { withDeadline } from './with-deadline.ts';
export { msOfTime, redisNow } from './redis-time.ts';
