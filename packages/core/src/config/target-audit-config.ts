import { z } from 'zod';
import { durationMs } from './duration.ts';
import { schedule } from './schedule-config.ts';

/** A share such as `5%`, kept as a number from 0 to 1. */
export const share = z
  .string()
  .regex(/^(100|\d{1,2}(\.\d+)?)%$/, 'a share is a percentage from 0.1% to 100%, e.g. 5%')
  .transform((text) => Number.parseFloat(text) / 100)
  .refine((value) => value >= 0.001, 'a share is a percentage from 0.1% to 100%, e.g. 5%');

/** What an audit of a target looks at, when, and how fast. */
export const targetAuditConfig = z.strictObject({
  every: durationMs
    .refine((ms) => ms >= 60_000, 'at least 1m')
    .optional()
    .describe('how often the target is audited without being asked; default never'),
  schedule: schedule.optional().describe('when such audits go on; outside of it they wait; default always'),
  since: durationMs
    .refine((ms) => ms > 0, 'longer than 0')
    .optional()
    .describe('such audits look at deliveries that changed within this time; default all'),
  sample: share.optional().describe('share of the studies that such audits look at; default 100%'),
  content: z
    .boolean()
    .default(false)
    .describe('such audits also read what the target has, and compare it with the digest of what was sent'),
  rate: z.int().min(1).max(1000).default(10).describe('requests a second that an audit may make at most'),
});
export type TargetAuditConfig = z.output<typeof targetAuditConfig>;
