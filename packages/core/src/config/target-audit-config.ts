import { z } from 'zod';
import { durationMs } from './duration.ts';
import { schedule } from './schedule-config.ts';
import { keyword } from './transform-config.ts';

/** A share such as `5%`, as a number from 0 to 1. */
export const share = z
  .string()
  .regex(/^(100|\d{1,2}(\.\d+)?)%$/, 'a share is a percentage from 0.1% to 100%, e.g. 5%')
  .transform((text) => Number.parseFloat(text) / 100)
  .refine((value) => value >= 0.001, 'a share is a percentage from 0.1% to 100%, e.g. 5%');

/** Elements of a data set: a keyword, a tag, or `private`. */
const elementName = z.string().superRefine((name, context) => {
  const parsed = name === 'private' ? undefined : keyword.safeParse(name);
  for (const { message } of parsed?.error?.issues ?? []) context.addIssue({ code: 'custom', message });
});

/** Scope, schedule and rate of an audit of a target. */
export const targetAuditConfig = z.strictObject({
  every: durationMs
    .refine((ms) => ms >= 60_000, 'at least 1m')
    .optional()
    .describe('interval of scheduled audits; default: none'),
  schedule: schedule.optional().describe('schedule of audits; they pause outside of it; default: always'),
  since: durationMs
    .refine((ms) => ms > 0, 'longer than 0')
    .optional()
    .describe('scheduled audits examine deliveries that changed within this period; default: all'),
  sample: share.optional().describe('proportion of the studies that scheduled audits examine; default: 100%'),
  content: z
    .boolean()
    .default(false)
    .describe('scheduled audits also read the content at the target and compare it with the sent data'),
  ignore: z
    .array(elementName)
    .max(200)
    .default([])
    .describe(
      'elements that the receiver may change, as keywords or tags; private: all private elements (dicom, dicomweb, xnat)',
    ),
  rate: z.int().min(1).max(1000).default(10).describe('maximum requests per second of an audit'),
});
export type TargetAuditConfig = z.output<typeof targetAuditConfig>;
