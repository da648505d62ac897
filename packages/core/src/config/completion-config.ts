import { z } from 'zod';
import { durationMs } from './duration.ts';

/** When a study is whole enough for a rule. All that is given has to be so. */
export const completionConfig = z
  .strictObject({
    series: z.int().min(1).max(100_000).optional().describe('minimum number of series'),
    instances: z.int().min(1).max(10_000_000).optional().describe('minimum number of instances'),
    when: z
      .string()
      .min(1)
      .max(10_000)
      .optional()
      .describe('wait until this CEL expression is true, e.g. series.exists(s, s.Modality == "SR")'),
    timeout: durationMs
      .default(3_600_000)
      .describe('maximum wait since the rule first matched; the study is then sent as it is; 0 = no limit'),
  })
  .refine(({ series, instances, when }) => series !== undefined || instances !== undefined || when !== undefined, {
    message: 'says nothing to wait for: give series, instances or when',
  });
export type CompletionConfig = z.output<typeof completionConfig>;
