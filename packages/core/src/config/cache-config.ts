import { z } from 'zod';
import { durationMs } from './duration.ts';
import { configName } from './names.ts';
import { secretKeys } from './secret-keys.ts';
import { sizeBytes } from './size.ts';

/**
 * How long an intermediate result stays.
 *
 * - `transient`: until the use that asked for it ends
 * - `cached`: up to its age, or until the budget needs its place; least recently used first
 * - `persistent`: until it is invalidated; never evicted
 */
export const retentions = ['transient', 'cached', 'persistent'] as const;
export type Retention = (typeof retentions)[number];

const policy = z.strictObject({
  retention: z.enum(retentions).optional().describe('transient: until its use ends; cached; persistent'),
  maxAge: durationMs.optional().describe('age at which a result is computed again; 0 = no limit'),
  compression: z.boolean().optional().describe('compress results of this type'),
});

/** The intermediate result cache: what is computed once for many targets and attempts. */
export const cacheConfig = z.strictObject({
  enabled: z.boolean().default(true).describe('false computes everything each time'),
  maxMemory: sizeBytes.default(256_000_000).describe('most that the cache takes in Redis; 0 = no limit'),
  maxAge: durationMs.default(86_400_000).describe('age of results whose type has none of its own; 0 = no limit'),
  compression: z.boolean().default(true).describe('compress results, where that makes them smaller'),
  retention: z.enum(retentions).default('cached').describe('of result types that have none of their own'),
  types: z
    .record(configName, policy)
    .default({})
    .describe('by result type: study, manifest, instance-meta, transformed-instance, query, and those of handlers'),
  folder: z
    .strictObject({
      path: z.string().min(1).describe('a folder of this machine, or one that all dispatchers share'),
      maxSize: sizeBytes.default(20_000_000_000).describe('most that it takes; 0 = no limit'),
    })
    .optional()
    .describe('where large results are kept, so that Redis holds only their entry'),
  secret: secretKeys
    .optional()
    .describe(
      'key that encrypts results with patient data in Redis, or a list of keys, the newest first; without it the folder has them, or nobody',
    ),
});
export type CacheConfig = z.output<typeof cacheConfig>;
