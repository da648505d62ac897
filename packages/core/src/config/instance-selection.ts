import { z } from 'zod';

/** Which instances of a study are meant. */
export const instanceSelection = z.strictObject({
  only: z.string().min(1).max(10_000).optional().describe('CEL over instance and series: only these are sent'),
  exclude: z
    .array(z.string().min(1).max(200))
    .optional()
    .describe('globs over "SeriesDescription", "Modality/SeriesDescription"; matching series are left out'),
});
export type InstanceSelection = z.output<typeof instanceSelection>;
