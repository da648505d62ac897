import { z } from 'zod';
import { priorities } from '../model/priority.ts';
import { configName } from './names.ts';

export const ruleConfig = z.strictObject({
  name: configName.describe('shown wherever the rule is spoken of'),
  enabled: z.boolean().default(true).describe('false leaves the rule out'),
  sources: z.array(configName).min(1).optional().describe('sources it is for; default all'),
  when: z
    .string()
    .min(1)
    .max(10_000)
    .optional()
    .describe('CEL expression over source, study, series and origin; default every study'),
  targets: z.array(configName).min(1, 'a rule needs at least one target').describe('targets that get the study'),
  priority: z.enum(priorities).default('normal').describe('stat, urgent, normal or background'),
});
export type RuleConfig = z.output<typeof ruleConfig>;
