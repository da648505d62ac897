import type { NotificationKind } from '@dicom-dispatch/core';
import { z } from 'zod';

/** A notification. No patient data: they are read from the source when a message is sent. */
export const notification = z.object({
  /** Identical for the same event, even if it is detected repeatedly: each event is sent once to each receiver. */
  id: z.string(),
  kind: z.string() as unknown as z.ZodType<NotificationKind | 'test'>,
  /** ms since 1970 */
  at: z.number(),
  /** Empty for a source or the whole system. */
  target: z.string(),
  deliveryId: z.string().optional(),
  source: z.string().optional(),
  studyInstanceUid: z.string().optional(),
  orthancStudyId: z.string().optional(),
  stage: z.string().optional(),
  code: z.string().optional(),
  message: z.string().optional(),
  remedy: z.string().optional(),
  /** When an ended condition began, ms since 1970. */
  since: z.number().optional(),
  /** Page of the console with details. */
  path: z.string().optional(),
});
export type Notification = z.infer<typeof notification>;

/** Result of a check, and the state to store once the notifications are in the outbox. */
export interface News {
  readonly notifications: readonly Notification[];
  remember(): Promise<void>;
}
