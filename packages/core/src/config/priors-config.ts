import { z } from 'zod';
import { ageMs, durationMs } from './duration.ts';
import { configName } from './names.ts';

/** Where priors are searched in addition to a target: the source of the study, which is always searched. */
export const priorsFromSource = 'source';

/** Which earlier studies of the patient go along with a study. */
export const priorsConfig = z.strictObject({
  count: z.int().min(1).max(20).default(2).describe('number of studies: the newest of those that match'),
  when: z
    .string()
    .min(1)
    .max(10_000)
    .optional()
    .describe(
      'CEL expression over study, series, prior, priorSeries, source and now, e.g. prior.StudyDescription == study.StudyDescription; default: every earlier study',
    ),
  maxAge: ageMs.optional().describe('maximum age relative to the study, e.g. 5y; default: no limit'),
  from: configName
    .default(priorsFromSource)
    .describe(
      'source, or a target that is searched as well: studies that the source lacks are pulled from there into the source',
    ),
  targets: z
    .array(configName)
    .min(1)
    .optional()
    .describe('targets and groups of the rule that receive them; default: all'),
  first: z.boolean().default(false).describe('the study waits until they have arrived'),
  wait: durationMs.default(120_000).describe('with first: maximum wait; the study is then sent, and they follow'),
});
export type PriorsConfig = z.output<typeof priorsConfig>;

/** The priors of a rule as stored in a delivery: as they were when its study was routed. */
export const priorTerms = z.object({
  rule: z.string(),
  count: z.int(),
  when: z.string().optional(),
  maxAge: z.number().optional(),
  from: z.string(),
  first: z.boolean(),
  wait: z.number(),
});
export type PriorTerms = z.infer<typeof priorTerms>;
