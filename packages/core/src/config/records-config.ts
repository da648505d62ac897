import { z } from 'zod';
import { durationMs } from './duration.ts';
import { secretKeys } from './secret-keys.ts';

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
