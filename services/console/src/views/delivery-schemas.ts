import { deliveryStates, selectableStates, unresolvedStates } from '@dicom-dispatch/state/records';
import { priorities, stages } from '@dicom-dispatch/core';
import { bulkActions, maxReasonLength } from '@dicom-dispatch/operations';
import { z } from 'zod';
import { priorsOfStudy } from './prior-schemas.ts';

/** Schemas of studies and deliveries, for the API and the pages. Times are ms since 1970. */

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
  held: z.boolean().describe('held by an operator'),
  why: z.string().optional().describe('in lists, of one that waits: why, in one sentence'),
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
  place: z.string().optional().describe('address of the target at the last attempt'),
  notice: z.string().optional().describe('remarks on the delivery, also on a successful one'),
  resolution: z
    .object({
      by: z.string(),
      reason: z.string(),
      from: z.enum(unresolvedStates).describe('the state that is restored on reopening'),
      supersededBy: z.string().optional().describe('the later delivery of the study that has succeeded'),
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
  .describe('patient data, read live from the source');

export const studySummary = z.object({
  source: z.string(),
  studyInstanceUid: z.string(),
  orthancStudyId: z.string(),
  routed: z.boolean().describe('false: the study is in the source, but was never routed'),
  instanceCount: z.number().int().optional(),
  modalities: z.array(z.string()),
  rules: z.array(z.string()),
  routedAt: time.optional(),
  label: label.optional(),
  inSource: z
    .enum(['yes', 'no', 'unknown'])
    .optional()
    .describe(
      'only in search results; no: the study has left its source, and was found by what was recorded at routing',
    ),
  deliveries: z.array(delivery).describe('the latest of each target'),
});
export type StudySummary = z.infer<typeof studySummary>;

/** Text of a cursor: a time, then the id of its entry. */
export const cursor = z
  .string()
  .regex(/^\d{1,16}( [\x21-\x7e]+){0,2}$/)
  .max(200);

const searchedTo = time
  .optional()
  .describe('the search took long and stopped at this time; `next` continues from there');

export const studyList = z.object({
  studies: z.array(studySummary),
  next: z.string().optional().describe('cursor of the next page'),
  searchedTo,
  total: z.number().int().describe('total number of studies, without the filter'),
  silentSources: z.array(z.string()).describe('sources that could not be searched'),
  notSearched: z.array(z.string()).describe('what the search could not examine, and why, one sentence each'),
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
  did: z.string().describe('action and result'),
  asks: z
    .object({ text: z.string(), opensAt: time })
    .optional()
    .describe('whether to start although it is outside its schedule'),
  undo: z.object({ label: z.string(), path: z.string() }).optional().describe('a POST that undoes it'),
});
export type DeliveryDone = z.infer<typeof deliveryDone>;

export const ruleVerdict = z.object({
  rule: z.string(),
  outcome: z
    .enum(['applies', 'waits', 'no-match', 'stopped', 'not-needed'])
    .describe('waits: until the study is complete; stopped: by an earlier rule; not-needed: a fallback'),
  matched: z.boolean().describe('whether its expression is true'),
  because: z.string(),
  targets: z.array(z.string()),
  parts: z
    .array(
      z.object({
        text: z.string().describe('part of the expression'),
        line: z.number().int(),
        column: z.number().int(),
        result: z.string().describe('true, false, or the reason why it could not be evaluated'),
        values: z
          .array(z.object({ name: z.string(), value: z.union([z.string(), z.array(z.string())]).optional() }))
          .describe('examined studies; empty where patient data is not shown'),
      }),
    )
    .describe('the parts of the expression that decided'),
});
export type RuleVerdictView = z.infer<typeof ruleVerdict>;

export const afterSuccess = z.object({
  state: z.enum(['waiting', 'due', 'done']).describe('waiting: not all deliveries have succeeded; due: is retried'),
  wanted: z.array(z.string()).describe('actions in the source that the rules define'),
  attempts: z.number().int().describe('failed attempts'),
  nextAttemptAt: time.optional(),
  error: deliveryError.optional(),
  done: z.array(z.string()),
  left: z.array(z.string()).describe('actions not taken, with the reason'),
});
export type AfterSuccess = z.infer<typeof afterSuccess>;

export const studyDetail = studySummary.omit({ deliveries: true }).extend({
  deliveries: z.array(deliveryDetail).describe('all, newest first'),
  omitted: z
    .array(z.object({ target: z.string(), why: z.string() }))
    .describe('targets that the rules named at routing, and that were left out'),
  pulled: z.boolean().describe('it was pulled into the source as an earlier study of a patient: rules do not route it'),
  verdicts: z.array(ruleVerdict).describe('result of the present rules for the present study'),
  inSource: z.enum(['yes', 'no', 'unknown']).describe('now'),
  afterSuccess: z.array(afterSuccess),
  priors: z.array(priorsOfStudy).describe('earlier studies of the patient that go along, by target'),
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
  state: z.enum(selectableStates).optional().describe('held: those that wait and are held back'),
  target: z.string().optional(),
  stage: z.enum(stages).optional().describe('stage in which the last failed attempt ended'),
  code: z.string().optional().describe('code of the last error'),
  rule: z.string().optional(),
  source: z.string().optional(),
  since: z.coerce.number().int().optional().describe('changed at or after, ms since 1970'),
  until: z.coerce.number().int().optional().describe('changed before, ms since 1970'),
});

/** Strict: a misspelt filter would mean all deliveries. */
export const bulkRequest = z.strictObject({
  action: z.enum(bulkActions),
  filter: selection.strict(),
  reason: z
    .string()
    .max(maxReasonLength)
    .optional()
    .describe('reason of a resolve; kept in Redis and the audit log: no patient data'),
});
export const bulkPreview = z.object({
  count: z.number().int(),
  byTarget: z.record(z.string(), z.number().int()),
  sample: z.array(delivery),
});
export const bulkResult = z.object({
  matched: z.number().int(),
  done: z.number().int(),
  skipped: z.number().int().describe('its state has changed in the meantime'),
});

const receiptLine = z.object({
  sopInstanceUid: z.string().describe('as in the source'),
  seriesInstanceUid: z.string().optional(),
  state: z.enum(['delivered', 'replaced', 'taken-back', 'quarantined']),
  sizeBytes: z.number().int().optional().describe('digest of the file that was passed to the target handler'),
  sha256: z.string().optional().describe('its digest'),
  at: time.describe('confirmed'),
  attempt: z.number().int(),
  deliveryId: z.string(),
  answer: z.string().describe('response of the receiver'),
  place: z.string().describe('address of the target'),
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
      deliveries: z.array(
        z.object({
          deliveryId: z.string(),
          state: z.enum(deliveryStates),
          place: z.string(),
          notice: z.string().optional().describe('remarks on the delivery, also on a successful one'),
        }),
      ),
      delivered: z.number().int(),
      quarantined: z.number().int(),
      withoutDetails: z.number().int().describe('confirmed, but without recorded size and response'),
      lines: z.array(receiptLine),
    }),
  ),
});
