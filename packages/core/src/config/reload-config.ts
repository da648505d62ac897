import { z } from 'zod';
import { durationMs } from './duration.ts';

export const reloadConfig = z.strictObject({
  watch: z
    .boolean()
    .default(false)
    .describe('take this file over when it changes; without, on SIGHUP, "dispatch reload" or the API'),
  interval: durationMs
    .default(2_000)
    .refine((ms) => ms >= 100, 'at least 100ms')
    .describe('how often the file is looked at'),
});
