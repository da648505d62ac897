import { z } from 'zod';
import { secret } from './secret.ts';

export const pseudonymsConfig = z.strictObject({
  secret: secret.describe(
    'key from which pseudonyms and new UIDs are derived. Keep it secret, since it links them to patients; if it changes, all pseudonyms change',
  ),
  prefix: z
    .string()
    .regex(/^[A-Z0-9-]{0,16}$/, 'up to 16 capital letters, digits and hyphens')
    .default('P-')
    .describe('prefix of the pseudonymous Patient ID'),
});
export type PseudonymsConfig = z.output<typeof pseudonymsConfig>;
