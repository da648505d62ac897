import { deliveryStates, unresolvedStates } from '@dicom-dispatch/state/records';
import { priorities, stages } from '@dicom-dispatch/core';
import { bulkActions, maxReasonLength } from '@dicom-dispatch/operations';
import { z } from 'zod';

/** Shapes of studies and deliveries, for the API and the pages. Times are ms since 1970. */

export const time = z.number().int().describe('ms since 1970');

export const errorAnswer = z.object({ error: z.string(), message: z.string() });

export const deliveryError = z.object({
  code: z.string(),
  stage: z.string(),
  fault: z.string(),
  message: z.string(),
  remedy: z.string(),
});

export const delivery = z.object({
  deliveryId: z.string(),
  source: z.string(),
  studyInstanceUid: z.string(),
  orthancStudyId: z.string(),
  target: z.string(),
  state: z.enum(deliveryStates),
  held: z.boolean().describe('an operator keeps it back'),
  stage: z.enum(stages).optional(),
  failStage: z.enum(stages).optional(),
  attempts: z.number().int(),
  total: z.number().int().describe('instances of the manifest'),
  confirmed: z.number().int(),
  quarantined: z.number().int(),
  bytesSent: z.number().int().describe('of all attempts'),
  error: deliveryError.optional(),
  worker: z.string().optional(),
  rules: z.array(z.string()),
  modalities: z.array(z.string()),
  priority: z.enum(priorities),
  routedAt: time,
  startedAt: time.optional(),
  endedAt: time.optional(),
  nextAttemptAt: time.optional(),
  updatedAt: time,
  place: z.string().optional().describe('where the target was at the last attempt'),
  notice: z.string().optional().describe('what is to be known of it although it may have arrived'),
  resolution: z
    .object({
      by: z.string(),
      reason: z.string(),
      from: z.enum(unresolvedStates).describe('the state that a reopening gives back'),
      supersededBy: z.string().optional().describe('the later delivery of the study that has arrived'),
    })
    .optional(),
});
export type Delivery = z.infer<typeof delivery>;

export const label = z
  .object({
    patientName: z.string(),
    patientId: z.string(),
    accessionNumber: z.string(),
    description: z.string(),
    studyDate: z.string().describe('YYYYMMDD'),
  })
  .describe('patient data, asked live of the source');

export const studySummary = z.object({
  source: z.string(),
  studyInstanceUid: z.string(),
  orthancStudyId: z.string(),
  routed: z.boolean().describe('false: it is in the source, but was never routed'),
  instanceCount: z.number().int().optional(),
  modalities: z.array(z.string()),
  rules: z.array(z.string()),
  routedAt: time.optional(),
  label: label.optional(),
  inSource: z
    .enum(['yes', 'no', 'unknown'])
    .optional()
    .describe(
      'only in answers to a search; no: it has left its source, and was found by what was noted when it was routed',
    ),
  deliveries: z.array(delivery).describe('the latest of each target'),
});
export type StudySummary = z.infer<typeof studySummary>;

/** Text of a cursor: a time, then the id of what stands there. */
export const cursor = z
  .string()
  .regex(/^\d{1,16}( [\x21-\x7e]+){0,2}$/)
  .max(200);

const searchedTo = time
  .optional()
  .describe('the search took long and came back to this time; `next` goes on from there');

export const studyList = z.object({
  studies: z.array(studySummary),
  next: z.string().optional().describe('cursor of the next page'),
  searchedTo,
  total: z.number().int().describe('studies in all, without the filter'),
  silentSources: z.array(z.string()).describe('sources that could not be searched'),
  notSearched: z.array(z.string()).describe('what the search could not look at, and why, one sentence each'),
});
export type StudyList = z.infer<typeof studyList>;

export const event = z.object({
  at: time,
  kind: z.string(),
  attempt: z.number().int().optional(),
  stage: z.string().optional(),
  code: z.string().optional(),
  text: z.string(),
  worker: z.string().optional(),
});

export const explanation = z.object({
  reason: z.string(),
  text: z.string().describe('one sentence'),
  until: time.optional(),
});

export const deliveryDetail = delivery.extend({ explanation, events: z.array(event) });
export type DeliveryDetail = z.infer<typeof deliveryDetail>;

export const deliveryDone = deliveryDetail.extend({
  did: z.string().describe('what was done, and what came of it'),
  asks: z
    .object({ text: z.string(), opensAt: time })
    .optional()
    .describe('it waits for its schedule: whether it is to start anyway'),
  undo: z.object({ label: z.string(), path: z.string() }).optional().describe('a POST that undoes it'),
});
export type DeliveryDone = z.infer<typeof deliveryDone>;

export const ruleVerdict = z.object({
  rule: z.string(),
  outcome: z
    .enum(['applies', 'waits', 'no-match', 'stopped', 'not-needed'])
    .describe('waits: until the study is whole; stopped: by an earlier rule; not-needed: a fallback'),
  matched: z.boolean().describe('its expression is true'),
  because: z.string(),
  targets: z.array(z.string()),
  parts: z
    .array(
      z.object({
        text: z.string().describe('part of the expression'),
        line: z.number().int(),
        column: z.number().int(),
        result: z.string().describe('is true, is false, or why nothing came of it'),
        values: z
          .array(z.object({ name: z.string(), value: z.union([z.string(), z.array(z.string())]).optional() }))
          .describe('what it looked at; empty where patient data is not shown'),
      }),
    )
    .describe('the parts of the expression that decided'),
});
export type RuleVerdictView = z.infer<typeof ruleVerdict>;

export const afterSuccess = z.object({
  state: z.enum(['waiting', 'due', 'done']).describe('waiting: deliveries have not all succeeded; due: tried again'),
  wanted: z.array(z.string()).describe('what the rules want done in the source'),
  attempts: z.number().int().describe('attempts that did not succeed'),
  nextAttemptAt: time.optional(),
  error: deliveryError.optional(),
  done: z.array(z.string()),
  left: z.array(z.string()).describe('what was not done, with the reason'),
});
export type AfterSuccess = z.infer<typeof afterSuccess>;

export const studyDetail = studySummary.omit({ deliveries: true }).extend({
  deliveries: z.array(deliveryDetail).describe('all, the newest first'),
  omitted: z
    .array(z.object({ target: z.string(), why: z.string() }))
    .describe('targets that the rules named when it was routed, and that were left out'),
  verdicts: z.array(ruleVerdict).describe('what the rules of now say about the study of now'),
  inSource: z.enum(['yes', 'no', 'unknown']).describe('now'),
  afterSuccess: z.array(afterSuccess),
});
export type StudyDetail = z.infer<typeof studyDetail>;

export const ledgerInstance = z.object({
  sopInstanceUid: z.string(),
  state: z.enum(['delivered', 'quarantined']),
  at: time,
  attempt: z.number().int(),
  delivery: z.string().describe("first characters of the delivery's id"),
  code: z.string().optional(),
  message: z.string().optional(),
});
export const ledgerPage = z.object({
  delivered: z.number().int(),
  quarantined: z.number().int(),
  instances: z.array(ledgerInstance),
});

export type LedgerPage = z.infer<typeof ledgerPage>;

export const deliveryList = z.object({
  deliveries: z.array(delivery),
  next: z.string().optional().describe('cursor of the next page'),
  searchedTo,
});
export type DeliveryList = z.infer<typeof deliveryList>;

export const selection = z.object({
  state: z.enum(deliveryStates).optional(),
  target: z.string().optional(),
  stage: z.enum(stages).optional().describe('where the last failed attempt ended'),
  code: z.string().optional().describe('code of the last error'),
  rule: z.string().optional(),
  source: z.string().optional(),
  since: z.coerce.number().int().optional().describe('changed at or after, ms since 1970'),
  until: z.coerce.number().int().optional().describe('changed before, ms since 1970'),
});

export const bulkRequest = z.object({
  action: z.enum(bulkActions),
  filter: selection,
  reason: z
    .string()
    .max(maxReasonLength)
    .optional()
    .describe('of a resolve: kept in Redis and the audit log, no patient data'),
});
export const bulkPreview = z.object({
  count: z.number().int(),
  byTarget: z.record(z.string(), z.number().int()),
  sample: z.array(delivery),
});
export const bulkResult = z.object({
  matched: z.number().int(),
  done: z.number().int(),
  skipped: z.number().int().describe('changed state meanwhile'),
});

const receiptLine = z.object({
  sopInstanceUid: z.string().describe('as in the source'),
  seriesInstanceUid: z.string().optional(),
  state: z.enum(['delivered', 'replaced', 'taken-back', 'quarantined']),
  sizeBytes: z.number().int().optional().describe("of the file that was handed to the target's handler"),
  sha256: z.string().optional().describe('of that file'),
  at: time.describe('confirmed'),
  attempt: z.number().int(),
  deliveryId: z.string(),
  answer: z.string().describe('what the receiver said'),
  place: z.string().describe('where the target was'),
});

export const studyReceipt = z.object({
  source: z.string(),
  orthancStudyId: z.string(),
  studyInstanceUid: z.string(),
  at: time.describe('when the receipt was made'),
  targets: z.array(
    z.object({
      target: z.string(),
      transform: z.string().optional(),
      deliveries: z.array(z.object({ deliveryId: z.string(), state: z.enum(deliveryStates), place: z.string() })),
      delivered: z.number().int(),
      quarantined: z.number().int(),
      withoutDetails: z.number().int().describe('confirmed, and of which no size and answer are kept'),
      lines: z.array(receiptLine),
    }),
  ),
});
