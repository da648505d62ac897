import type { Config, DeliveryData } from '@dicom-dispatch/core';
import { jobPriority, keepJobs } from '@dicom-dispatch/runtime';

/** How the job of a delivery is put into the queue of its target, by whichever way it comes there. */
export function deliveryJobOptions(config: Config, data: Pick<DeliveryData, 'deliveryId' | 'target' | 'priority'>) {
  return {
    ...keepJobs,
    jobId: data.deliveryId,
    attempts: config.targets[data.target]?.attempts ?? 1,
    backoff: { type: 'custom' },
    priority: jobPriority(data.priority),
  } as const;
}
