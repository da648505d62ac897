import { z } from 'zod';
import { priorities } from '../model/priority.ts';
import { completionConfig } from './completion-config.ts';
import { instanceSelection } from './instance-selection.ts';
import { configName } from './names.ts';
import { schedule } from './schedule-config.ts';

/**
 * What happens with instances that arrive after a study was routed.
 *
 * - `difference`: only what the target lacks is sent
 * - `all`: the whole study is sent again
 * - `never`: nothing more is sent
 */
export const latePolicies = ['difference', 'all', 'never'] as const;
export type LatePolicy = (typeof latePolicies)[number];

/**
 * When the deliveries of a rule begin.
 *
 * - `stable`: when the source calls the study stable
 * - `series`: as each series becomes stable
 * - `arrival`: with the first instance, while the study is still being received
 */
export const starts = ['arrival', 'series', 'stable'] as const;
export type Start = (typeof starts)[number];

const label = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'a label has 1 to 64 letters, digits, hyphens and underscores');

export const onSuccessConfig = z.strictObject({
  labels: z.array(label).max(50).default([]).describe('labels that the study gets in Orthanc'),
  metadata: z
    .record(
      z.string().regex(/^([A-Za-z][A-Za-z0-9_-]{0,63}|\d{4,5})$/, 'a name or a number from 1024'),
      z.string().max(1024),
    )
    .default({})
    .describe("metadata that the study gets; names have to be among Orthanc's UserMetadata, or numbers from 1024"),
  unprotect: z
    .boolean()
    .default(false)
    .describe('take the protection of the patient away, once all studies of the patient are delivered'),
  delete: z
    .boolean()
    .default(false)
    .describe(
      'delete from the source exactly the instances that were delivered; nothing if the study has changed since',
    ),
});
export type OnSuccessConfig = z.output<typeof onSuccessConfig>;

export const ruleConfig = z.strictObject({
  name: configName.describe('shown wherever the rule is spoken of'),
  description: z.string().max(200).optional().describe('a line for people, shown in the console'),
  enabled: z.boolean().default(true).describe('false leaves the rule out'),
  sources: z.array(configName).min(1).optional().describe('sources it is for; default all'),
  when: z
    .string()
    .min(1)
    .max(10_000)
    .optional()
    .describe('CEL expression over source, study, series, origin and now; default every study'),
  fallback: z.boolean().default(false).describe('applies only to studies that no other rule matches'),
  stop: z.boolean().default(false).describe('when it matches, no further rule applies'),
  targets: z
    .array(configName)
    .min(1, 'a rule needs at least one target')
    .describe('targets and target groups that get the study'),
  instances: instanceSelection.optional().describe('which instances of a study are sent; default all'),
  transform: configName.optional().describe('how instances are changed on their way; goes before that of the target'),
  priority: z.enum(priorities).default('normal').describe('stat, urgent, normal or background'),
  schedule: schedule.optional().describe('when its deliveries may start; those of the target apply too'),
  hold: z.boolean().default(false).describe('its deliveries wait until an operator releases them'),
  start: z
    .enum(starts)
    .default('stable')
    .describe(
      'when sending begins: with the first instance, as each series is stable, or when the study is stable; the study is delivered when all of it has been sent',
    ),
  complete: completionConfig.optional().describe('wait until the study is whole'),
  late: z
    .enum(latePolicies)
    .default('difference')
    .describe('instances that arrive later: send the difference, all again, or never'),
  onSuccess: onSuccessConfig.optional().describe('what happens in the source when all deliveries have succeeded'),
});
export type RuleConfig = z.output<typeof ruleConfig>;
