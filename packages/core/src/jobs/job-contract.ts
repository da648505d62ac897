import { z } from 'zod';
import { instanceSelection } from '../config/instance-selection.ts';
import { latePolicies, onSuccessConfig } from '../config/rule-config.ts';
import { priorTerms } from '../config/priors-config.ts';
import { schedule } from '../config/schedule-config.ts';
import { groupStrategies } from '../config/target-group-config.ts';
import { transformConfig } from '../config/transform-config.ts';
import { stages } from '../model/stage.ts';
import { priorities } from '../model/priority.ts';

/** Common data of all jobs of one study. No patient data: job data are shown in Bull Board. */
const studyReference = {
  source: z.string().describe('name of the source'),
  epoch: z.string().describe('epoch of the source database in which the study was found'),
  studyInstanceUid: z.string(),
  orthancStudyId: z.string().describe("Orthanc's id of the study"),
  contentHash: z.string().describe('hash of the instance set that was routed'),
  instanceCount: z.int().describe('number of instances at routing'),
  modalities: z.array(z.string()).describe('modalities in the study'),
  studyTaskId: z.string(),
  rules: z.array(z.string()).describe('rules that matched'),
  priority: z.enum(priorities),
  routedAt: z.int().describe('ms since 1970'),
};

/** Data of a job in the queue `study`: the parent of its deliveries. */
export const studyTaskData = z.object({
  ...studyReference,
  targets: z.array(z.string()),
  partOf: z.string().optional().describe('the study task whose deliveries are sent to more targets'),
  onSuccess: onSuccessConfig.optional().describe('actions in the source after all deliveries have succeeded'),
});
export type StudyTaskData = z.infer<typeof studyTaskData>;

/** The terms of the rules when the study was routed: a delivery keeps them when the rules change. */
const deliveryTerms = {
  transform: z
    .object({ name: z.string(), definition: transformConfig })
    .optional()
    .describe('changes to instances before they are sent'),
  selections: z.array(instanceSelection).optional().describe('an instance is sent if any of these selects it'),
  schedules: z.array(schedule).optional().describe('it may start while any of these windows is open'),
  late: z.enum(latePolicies).optional().describe('default: difference'),
  hold: z.boolean().optional().describe('is held from the start'),
  group: z
    .object({
      name: z.string(),
      strategy: z.enum(groupStrategies),
      members: z.array(z.string()),
      /** Members that have failed, or from which it was moved. */
      tried: z.array(z.string()),
      /** The transform is that of the rules, whichever member gets the study. */
      keepsTransform: z.boolean(),
    })
    .optional()
    .describe('the group that selected this target, and may select another one'),
  priors: z.array(priorTerms).optional().describe('earlier studies of the patient to send as well, by rule'),
  arriving: z
    .enum(['arrival', 'series'])
    .optional()
    .describe(
      'the study is still being received: instances are sent as they arrive, and the delivery ends when the study is complete',
    ),
  again: z.literal(true).optional().describe('the study had deliveries before'),
  nonce: z.string().optional().describe('distinguishes deliveries of the same content'),
};

/** Data of a job in a queue `target-NAME`. */
export const deliveryData = z.object({
  ...studyReference,
  ...deliveryTerms,
  deliveryId: z.string(),
  target: z.string(),
});
export type DeliveryData = z.infer<typeof deliveryData>;

/** Progress of a delivery's job. Counts are of instances of the complete manifest; bytes are of this attempt. */
export const deliveryProgress = z.object({
  stage: z.enum(stages),
  attempt: z.int(),
  total: z.int(),
  confirmed: z.int(),
  quarantined: z.int(),
  bytesSent: z.int(),
});
export type DeliveryProgress = z.infer<typeof deliveryProgress>;

/** Result of a delivery's job. */
export const deliveryResult = z.object({
  total: z.int(),
  /** Confirmed by this attempt. */
  sent: z.int(),
  /** Confirmed before this attempt, and not sent again. */
  skipped: z.int(),
  bytesSent: z.int(),
  attempts: z.int(),
});
export type DeliveryResult = z.infer<typeof deliveryResult>;
