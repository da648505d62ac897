import type { Cluster, Redis } from 'ioredis';

/** A connection to one Redis (Sentinel included) or to a Redis Cluster. */
export type RedisClient = Redis | Cluster;
