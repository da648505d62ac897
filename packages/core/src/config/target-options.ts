import { z } from 'zod';
import { durationMs } from './duration.ts';
import { instanceSelection } from './instance-selection.ts';
import { configName } from './names.ts';
import { schedule } from './schedule-config.ts';
import { sizeBytes } from './size.ts';
import { targetAuditConfig } from './target-audit-config.ts';

/**
 * Options of every target of any type. Handler schemas spread this shape into their own strict object:
 * `z.strictObject({ type: z.literal('sftp'), ...targetOptions, host: … })`.
 */
export const targetOptions = {
  description: z.string().max(200).optional().describe('description shown in the console'),
  enabled: z.boolean().default(true).describe('false: the target stays configured, but no delivery starts'),
  concurrency: z
    .int()
    .min(1)
    .max(256)
    .default(2)
    .describe('maximum parallel deliveries to this target, over all dispatchers'),
  attempts: z
    .int()
    .min(1)
    .max(1000)
    .default(8)
    .describe('maximum attempts of a delivery; then it fails and needs an operator'),
  backoff: z
    .strictObject({
      first: durationMs.default(5_000).describe('wait before the second attempt'),
      max: durationMs.default(15 * 60_000).describe('maximum wait between two attempts'),
      jitter: z.number().min(0).max(1).default(0.3).describe('random proportion of the wait (jitter)'),
    })
    .prefault({})
    .describe('exponential back-off between attempts'),
  giveUpAfter: durationMs
    .default(7 * 86_400_000)
    .describe(
      'maximum age of a delivery whose target is unreachable, after which it fails; time on hold or outside the schedule does not count; 0 = no limit',
    ),
  rateLimit: z
    .strictObject({
      bytesPerSecond: sizeBytes.optional().describe('maximum rate of one dispatcher to this target'),
      deliveriesPerMinute: z
        .int()
        .min(1)
        .optional()
        .describe('maximum number of deliveries started per minute, over all dispatchers'),
    })
    .optional()
    .describe('rate limits'),
  schedule: schedule.optional().describe('when deliveries may start; default: always'),
  audit: targetAuditConfig.optional().describe('comparison of the content of the target with what it has confirmed'),
  instances: instanceSelection.optional().describe('selection of instances for this target'),
  transform: configName.optional().describe('transform of the instances for this target'),
  identity: configName
    .optional()
    .describe(
      'identity of the target. If the address changes and identity does not, the target is the same with the same content; a new identity starts a new ledger',
    ),
  source: configName
    .optional()
    .describe(
      'source that is the same system as this target, if the address does not show it: studies are not sent back to where they came from',
    ),
} as const;

/** The option `minBytesPerSecond` of targets that are reached over a network. */
export const minBytesPerSecondOption = sizeBytes
  .default(1_000)
  .describe(
    'minimum average transfer rate per second; a slower target is treated as timed out (target-timeout); 0 = no limit',
  );

export const targetOptionsSchema = z.object(targetOptions);
export type TargetOptions = z.output<typeof targetOptionsSchema>;

/** Data of a target that the rest of the system uses without its handler. */
export type TargetConfig = TargetOptions & { readonly type: string };
