import { z } from 'zod';
import { priorities } from '../model/priority.ts';
import { durationMs } from './duration.ts';
import { instanceSelection } from './instance-selection.ts';
import { configName } from './names.ts';
import { priorsConfig } from './priors-config.ts';
import { schedule } from './schedule-config.ts';

/** When a study is sufficiently complete for a rule. All given conditions must be met. */
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
    message: 'names nothing to wait for: set series, instances or when',
  });
export type CompletionConfig = z.output<typeof completionConfig>;

/**
 * What happens with instances that arrive after a study was routed.
 *
 * - `difference`: only instances that the target lacks are sent
 * - `all`: the complete study is sent again
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
  labels: z.array(label).max(50).default([]).describe('labels to add to the study in Orthanc'),
  metadata: z
    .record(
      z.string().regex(/^([A-Za-z][A-Za-z0-9_-]{0,63}|\d{4,5})$/, 'a name or a number from 1024'),
      z.string().max(1024),
    )
    .default({})
    .describe("metadata to set on the study; names must be defined in Orthanc's UserMetadata, or be numbers from 1024"),
  unprotect: z
    .boolean()
    .default(false)
    .describe('remove the protection of the patient once all studies of the patient are delivered'),
  delete: z
    .boolean()
    .default(false)
    .describe('delete exactly the delivered instances from the source; nothing if the study has changed since'),
});
export type OnSuccessConfig = z.output<typeof onSuccessConfig>;

export const ruleConfig = z.strictObject({
  name: configName.describe('name of the rule, shown in the console, logs and audit log'),
  description: z.string().max(200).optional().describe('description shown in the console'),
  enabled: z.boolean().default(true).describe('false: the rule is ignored'),
  sources: z.array(configName).min(1).optional().describe('sources to which the rule applies; default: all'),
  when: z
    .string()
    .min(1)
    .max(10_000)
    .optional()
    .describe('CEL expression over source, study, series, origin and now; default: every study'),
  fallback: z.boolean().default(false).describe('applies only to studies that match no other rule'),
  stop: z.boolean().default(false).describe('if the rule matches, no further rule applies'),
  targets: z
    .array(configName)
    .min(1, 'a rule needs at least one target')
    .describe('targets and target groups that receive the study'),
  instances: instanceSelection.optional().describe('selection of instances; default: all'),
  transform: configName.optional().describe('transform of the instances; takes precedence over that of the target'),
  priority: z.enum(priorities).default('normal').describe('stat, urgent, normal or background'),
  schedule: schedule.optional().describe('when its deliveries may start; the schedule of the target applies as well'),
  hold: z.boolean().default(false).describe('deliveries wait until an operator releases them'),
  start: z
    .enum(starts)
    .default('stable')
    .describe(
      'start of sending: at the first instance, at each stable series, or at the stable study; the study counts as delivered when it is complete and all instances are confirmed',
    ),
  complete: completionConfig.optional().describe('wait until the study is complete'),
  late: z
    .enum(latePolicies)
    .default('difference')
    .describe('instances that arrive after the delivery: send the difference, all instances again, or none'),
  priors: priorsConfig.optional().describe('earlier studies of the patient that are sent along'),
  onSuccess: onSuccessConfig.optional().describe('actions in the source after all deliveries have succeeded'),
});
export type RuleConfig = z.output<typeof ruleConfig>;
