import { z } from 'zod';
import { durationMs } from './duration.ts';

export const reloadConfig = z.strictObject({
  watch: z
    .boolean()
    .default(false)
    .describe('reload the file when it changes; otherwise on SIGHUP, "dispatch reload" or a request to the API'),
  interval: durationMs
    .default(2_000)
    .refine((ms) => ms >= 100, 'at least 100ms')
    .describe('interval at which the file is checked'),
});
