import type { DeliveryData } from '@dicom-dispatch/core';
import { jobPriority, keepJobs } from '@dicom-dispatch/runtime';

/** BullMQ never ends a job: attempts are counted in the record. */
export const unlimitedAttempts = 1_000_000;

/** Options with which the job of a delivery is added to the queue of its target, in every case. */
export function deliveryJobOptions(data: Pick<DeliveryData, 'deliveryId' | 'priority'>) {
  return {
    ...keepJobs,
    jobId: data.deliveryId,
    attempts: unlimitedAttempts,
    backoff: { type: 'custom' },
    priority: jobPriority(data.priority),
  } as const;
}
