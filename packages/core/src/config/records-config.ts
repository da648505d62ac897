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
      'a study is forgotten when it has left its source and nothing has happened to it for so long; or forever',
    ),
  searchKey: secretKeys
    .optional()
    .describe(
      'key of the hashes by which a study is found by accession number, Patient ID or series UID once it has left its source, or a list of keys, the newest first; without it only by its Study Instance UID',
    ),
});
