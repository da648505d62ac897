import type { NotificationKind } from '@dicom-dispatch/core';
import { z } from 'zod';

/** Something to be told. No patient data: what a message says of a patient is asked of the source when it is sent. */
export const notification = z.object({
  /** The same for the same event, however often it is seen: each is told once to each receiver. */
  id: z.string(),
  kind: z.string() as unknown as z.ZodType<NotificationKind | 'test'>,
  /** ms since 1970 */
  at: z.number(),
  /** Empty where it is about a source or the whole system. */
  target: z.string(),
  deliveryId: z.string().optional(),
  source: z.string().optional(),
  studyInstanceUid: z.string().optional(),
  orthancStudyId: z.string().optional(),
  stage: z.string().optional(),
  code: z.string().optional(),
  message: z.string().optional(),
  remedy: z.string().optional(),
  /** When what is over now began, ms since 1970. */
  since: z.number().optional(),
  /** Page of the console with details. */
  path: z.string().optional(),
});
export type Notification = z.infer<typeof notification>;

/** What a look found, and what is to be remembered of the look once the news are safely in the outbox. */
export interface News {
  readonly notifications: readonly Notification[];
  remember(): Promise<void>;
}
