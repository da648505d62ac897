import { z } from 'zod';
import { durationMs } from './duration.ts';
import { instanceSelection } from './instance-selection.ts';
import { configName } from './names.ts';
import { schedule } from './schedule-config.ts';
import { sizeBytes } from './size.ts';
import { targetAuditConfig } from './target-audit-config.ts';

/**
 * What every target can say, whatever its type. Handler schemas spread this shape into their own strict object:
 * `z.strictObject({ type: z.literal('sftp'), ...targetOptions, host: … })`.
 */
export const targetOptions = {
  description: z.string().max(200).optional().describe('a line for people, shown in the console'),
  enabled: z.boolean().default(true).describe('false keeps the target but starts no delivery'),
  concurrency: z.int().min(1).max(256).default(2).describe('deliveries at the same time, over all dispatchers'),
  attempts: z.int().min(1).max(1000).default(8).describe('attempts of a delivery until an operator has to look'),
  backoff: z
    .strictObject({
      first: durationMs.default(5_000).describe('wait before the second attempt'),
      max: durationMs.default(15 * 60_000).describe('longest wait between two attempts'),
      jitter: z.number().min(0).max(1).default(0.3).describe('share of the wait that is random'),
    })
    .prefault({})
    .describe('exponential back-off between attempts'),
  giveUpAfter: durationMs
    .default(7 * 86_400_000)
    .describe(
      'age at which a delivery that waits for a dead target fails, without the time that it was held or outside its schedule; 0 = never',
    ),
  rateLimit: z
    .strictObject({
      bytesPerSecond: sizeBytes.optional().describe('of one dispatcher to this target'),
      deliveriesPerMinute: z.int().min(1).optional().describe('over all dispatchers'),
    })
    .optional()
    .describe('upper bounds on what is sent'),
  schedule: schedule.optional().describe('when deliveries may start; default always'),
  audit: targetAuditConfig.optional().describe('audits, which compare what the target has with what it has confirmed'),
  instances: instanceSelection.optional().describe('which instances of a study this target gets'),
  transform: configName.optional().describe('how instances are changed on their way to it'),
  identity: configName
    .optional()
    .describe(
      'name of the place itself: kept, a new address means the same place with the same contents; another name means another place, for which the ledger begins anew',
    ),
  source: configName
    .optional()
    .describe(
      'the source that this target is, where its address does not say so: studies do not go back where they came from',
    ),
} as const;
export const targetOptionsSchema = z.object(targetOptions);
export type TargetOptions = z.output<typeof targetOptionsSchema>;

/** What the rest of the system knows of a target without its handler. */
export type TargetConfig = TargetOptions & { readonly type: string };
