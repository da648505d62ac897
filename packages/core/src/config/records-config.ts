import { z } from 'zod';
import { durationMs } from './duration.ts';
import { secretKeys } from './secret.ts';

export const recordsConfig = z.strictObject({
  keep: z
    .union([z.literal('forever'), durationMs.refine((ms) => ms >= 3_600_000, 'at least 1h, or forever')], {
      error: 'forever, or a duration of at least 1h with its unit: 90d, 365d',
    })
    .meta({ unit: 'duration' })
    .default(90 * 86_400_000)
    .describe(
      'the record of a study is removed when the study is no longer in its source and was not changed for this period; forever = never',
    ),
  searchKey: secretKeys
    .optional()
    .describe(
      'key of the hashes that find a study by accession number, Patient ID or series UID after it has left its source, or a list of keys, newest first; without it only by Study Instance UID',
    ),
});

export const receiptsConfig = z.strictObject({
  enabled: z.boolean().default(true).describe('false keeps no details of instances beyond the ledger'),
  digest: z
    .enum(['sha256', 'none'])
    .default('sha256')
    .describe('digest of the bytes sent of each instance; none saves CPU time'),
  folder: z
    .string()
    .min(1)
    .max(1024)
    .optional()
    .describe(
      'folder for the receipts, shared by all dispatchers and the console; default: receipts are kept in Redis',
    ),
  keep: z
    .union([z.literal('forever'), durationMs.refine((ms) => ms >= 3_600_000, 'at least 1h, or forever')], {
      error: 'forever, or a duration of at least 1h with its unit: 30d, 365d',
    })
    .meta({ unit: 'duration' })
    .default(30 * 86_400_000)
    .describe('retention of the details of instances after their delivery; forever = no limit'),
});
export type ReceiptsConfig = z.output<typeof receiptsConfig>;
