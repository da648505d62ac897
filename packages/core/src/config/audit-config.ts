import { z } from 'zod';
import { durationMs } from './duration.ts';

/** How long it is kept who did what. */
export const auditConfig = z.strictObject({
  keep: durationMs.default(365 * 86_400_000).describe('age at which entries are removed; 0 = never'),
  maxEntries: z
    .int()
    .min(1000)
    .max(100_000_000)
    .default(1_000_000)
    .describe('most entries that Redis keeps, some 400 MB; older ones are removed first'),
});
