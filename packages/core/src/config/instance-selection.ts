import { z } from 'zod';

/** Selection of instances of a study. */
export const instanceSelection = z.strictObject({
  only: z
    .string()
    .min(1)
    .max(10_000)
    .optional()
    .describe('CEL expression over instance and series: only matching instances are sent'),
  exclude: z
    .array(z.string().min(1).max(200))
    .optional()
    .describe('glob patterns over "SeriesDescription" or "Modality/SeriesDescription"; matching series are excluded'),
});
export type InstanceSelection = z.output<typeof instanceSelection>;
