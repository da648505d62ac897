import { z } from 'zod';

export const reloadConfig = z.strictObject({
  watch: z
    .boolean()
    .default(false)
    .describe('reload the file when it changes; otherwise on SIGHUP, "dispatch reload" or a request to the API'),
});
