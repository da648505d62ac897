import { z } from 'zod';
import { durationMs } from './duration.ts';
import { configName } from './names.ts';
import { secretKeys } from './secret.ts';
import { sizeBytes } from './size.ts';

/**
 * How long an intermediate result is kept.
 *
 * - `transient`: until the use that requested it ends
 * - `cached`: up to its age, or until the budget needs its space; least recently used first
 * - `persistent`: until it is invalidated; never evicted
 */
export const retentions = ['transient', 'cached', 'persistent'] as const;
export type Retention = (typeof retentions)[number];

const policy = z.strictObject({
  retention: z
    .enum(retentions)
    .optional()
    .describe('transient: until its use ends; cached: evictable; persistent: until it expires; default: cached'),
  maxAge: durationMs.optional().describe('maximum age of a result; 0 = no limit'),
  compression: z.boolean().optional().describe('compress results of this type'),
});

/** The intermediate result cache: results computed once for many targets and attempts. */
export const cacheConfig = z.strictObject({
  enabled: z.boolean().default(true).describe('false disables the cache'),
  maxMemory: sizeBytes.default(256_000_000).describe('maximum memory of the cache in Redis; 0 = no limit'),
  maxAge: durationMs.default(86_400_000).describe('maximum age of results of types without a maxAge; 0 = no limit'),
  compression: z.boolean().default(true).describe('compress results if that makes them smaller'),
  types: z
    .record(configName, policy)
    .default({})
    .describe(
      'settings by result type: study, manifest, instance-meta, transformed-instance, query, and types of handlers',
    ),
  folder: z
    .strictObject({
      path: z.string().min(1).describe('folder on this machine, or a folder that all dispatchers share'),
      maxSize: sizeBytes.default(20_000_000_000).describe('maximum size; 0 = no limit'),
    })
    .optional()
    .describe('folder for large results, of which Redis holds only an entry'),
  secret: secretKeys
    .optional()
    .describe(
      'key that encrypts results with patient data in Redis, or a list of keys, newest first; without it they are cached in the folder only, or not at all',
    ),
});
export type CacheConfig = z.output<typeof cacheConfig>;
