import { z } from 'zod';

const count = z.number().int();
const at = z.number().describe('ms since 1970');
const uids = z.array(z.string()).readonly().describe('SOP Instance UIDs in the source, the first 200');

const open = z.object({ studies: count, missing: count, different: count, extra: count });

const audit = z.object({
  id: z.string(),
  target: z.string(),
  by: z.string().describe('who requested it; `schedule`: the configuration'),
  scope: z.object({
    since: at.optional().describe('only deliveries that changed since'),
    study: z.string().optional().describe('only this study, by its Study Instance UID'),
    sample: z.number().describe('proportion of the studies, 0 to 1'),
    content: z.boolean().describe('whether content is compared as well'),
  }),
  startedAt: at,
  state: z.enum(['running', 'done', 'stopped', 'failed']),
  endedAt: at.optional(),
  reason: z.string().optional().describe('why it waits or has failed'),
  waitsUntil: at.optional(),
  counts: z.object({
    studies: count,
    instances: count.describe('confirmed by the target'),
    compared: count.describe('of these, instances whose content was compared'),
    uncompared: count.describe('of these, instances whose content could not be compared, though requested'),
    missing: count,
    different: count.describe('with a different size or content'),
    extra: count.describe('not sent by this system'),
    unread: count.describe('unknown'),
    requests: count.describe('to the target'),
  }),
  uncomparedWhy: z
    .record(z.string(), count)
    .optional()
    .describe('reasons why content could not be compared, with the number of instances'),
  open: open.describe('present findings of all audits'),
  sent: z.object({ at, by: z.string(), studies: count, instances: count }).optional().describe('last resent'),
});

/** Data of audits of a target. */
export const auditedTarget = z.object({
  audit: audit.optional().describe('running, or the last one'),
  gaps: z.array(z.string()).readonly().describe('what could not be compared; empty if everything was'),
  findings: z
    .array(
      z.object({
        auditId: z.string(),
        at,
        source: z.string(),
        orthancStudyId: z.string(),
        studyInstanceUid: z.string(),
        deliveryId: z.string(),
        content: z.boolean().optional().describe('whether content was compared'),
        missing: uids,
        missingCount: count,
        different: uids,
        differentCount: count,
        details: z
          .record(z.string(), z.string())
          .optional()
          .describe('what is different, by SOP Instance UID: sizes or keywords of elements, no values'),
        extra: z.array(z.string()).readonly().describe('as the target names it, the first 200'),
        extraCount: count,
      }),
    )
    .readonly()
    .describe('studies with findings'),
  history: z.array(audit).readonly().describe('completed audits, newest first'),
});
