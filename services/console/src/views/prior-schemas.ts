import { deliveryStates } from '@dicom-dispatch/state/records';
import { z } from 'zod';

const lookedAtPrior = z.object({
  studyInstanceUid: z.string(),
  orthancStudyId: z.string().optional().describe('where the source has it'),
  from: z.string().describe('source, or the target that has it'),
  why: z.string().describe('why it was chosen, or why not'),
  description: z.string().optional().describe('value in the source; where patient data is shown'),
  studyDate: z.string().optional(),
});
export type LookedAtPriorView = z.infer<typeof lookedAtPrior>;

/** Earlier studies of the patient with a study to one target. Times are ms since 1970. */
export const priorsOfStudy = z.object({
  target: z.string(),
  state: z.enum(['looking', 'sending', 'done']).describe('looking: they are still to be chosen'),
  openedAt: z.number().int(),
  waitUntil: z.number().int().optional().describe('until when the study waits for them, if it does'),
  isLate: z.boolean().describe('the study has gone before they had all arrived'),
  note: z.string().optional().describe('why there are none, or what fails now'),
  nextAttemptAt: z.number().int().optional(),
  chosen: z.array(
    lookedAtPrior.extend({
      state: z
        .enum(['chosen', 'sent', 'there', 'omitted'])
        .describe('there: the target had it before; omitted: it is not sent after all'),
      deliveryId: z.string().optional(),
      deliveryState: z.enum(deliveryStates).optional(),
      note: z.string().optional(),
    }),
  ),
  left: z.array(lookedAtPrior).describe('the first of those that were not chosen'),
  leftCount: z.number().int(),
});
export type PriorsOfStudy = z.infer<typeof priorsOfStudy>;
