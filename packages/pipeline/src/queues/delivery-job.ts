import type { DeliveryData } from '@dicom-dispatch/core';
import { jobPriority, keepJobs } from '@dicom-dispatch/runtime';

/** BullMQ never ends a job by itself: attempts are counted in the record. */
export const unlimitedAttempts = 1_000_000;

/** How the job of a delivery is put into the queue of its target, by whichever way it comes there. */
export function deliveryJobOptions(data: Pick<DeliveryData, 'deliveryId' | 'priority'>) {
  return {
    ...keepJobs,
    jobId: data.deliveryId,
    attempts: unlimitedAttempts,
    backoff: { type: 'custom' },
    priority: jobPriority(data.priority),
  } as const;
}
