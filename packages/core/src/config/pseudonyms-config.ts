import { z } from 'zod';
import { secret } from './secret.ts';

export const pseudonymsConfig = z.strictObject({
  secret: secret.describe('key of pseudonyms and new UIDs: whoever has it can link them; keep it, or they change'),
  prefix: z
    .string()
    .regex(/^[A-Z0-9-]{0,16}$/, 'up to 16 capital letters, digits and hyphens')
    .default('P-')
    .describe('first part of the Patient ID that a patient gets'),
});
export type PseudonymsConfig = z.output<typeof pseudonymsConfig>;
