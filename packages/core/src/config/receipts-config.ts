import { z } from 'zod';
import { durationMs } from './duration.ts';

export const receiptsConfig = z.strictObject({
  enabled: z.boolean().default(true).describe('false keeps nothing of each instance but what the ledger says'),
  digest: z
    .enum(['sha256', 'none'])
    .default('sha256')
    .describe('of the bytes of each instance; none where the time for it is missing'),
  folder: z
    .string()
    .min(1)
    .max(1024)
    .optional()
    .describe('folder for the receipts, the same for all dispatchers and the console; default Redis'),
  keep: z
    .union([z.literal('forever'), durationMs.refine((ms) => ms >= 3_600_000, 'at least 1h, or forever')], {
      error: 'forever, or a duration of at least 1h with its unit: 30d, 365d',
    })
    .meta({ unit: 'duration' })
    .default(30 * 86_400_000)
    .describe('how long the details of instances are kept after their delivery; or forever'),
});
export type ReceiptsConfig = z.output<typeof receiptsConfig>;
