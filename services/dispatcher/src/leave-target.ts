import type { DeliveryPatch } from '@dicom-dispatch/state/records';
import { handOver, readChoice } from '@dicom-dispatch/pipeline';
import { fenceOf, type DeliveryJobRun } from './delivery-job-run.ts';

/** Ends the run of a delivery that another target of its group has taken over: its job is done. */
export class HandedOver extends Error {
  override readonly name = 'HandedOver';
}

/**
 * Moves a delivery to another target of its group, if one can be used.
 *
 * @throws HandedOver if the delivery was moved; otherwise nothing has changed
 */
export async function leaveTarget(
  jobRun: DeliveryJobRun,
  why: string,
  options: { readonly exhausted?: boolean; readonly patch?: DeliveryPatch } = {},
): Promise<void> {
  const { context, data } = jobRun;
  if (!data.group || data.group.strategy === 'all') return;
  const handed = await handOver(context, data, { ...options, why, fence: fenceOf(jobRun) });
  if (handed === undefined) return;
  const to = handed.target;
  context.log.warn({ delivery: data.deliveryId, target: data.target, to, why }, 'delivery was handed over');
  context.metrics.ended.inc({ target: data.target, state: 'moved' });
  throw new HandedOver(`handed over to ${to}`);
}

/** @throws HandedOver if another target got the delivery before, and the worker was killed before it could report this */
export async function leaveIfLeft(jobRun: DeliveryJobRun): Promise<void> {
  const { context, data } = jobRun;
  const { group } = data;
  if (!group || group.strategy === 'all') return;
  const choice = await readChoice(context, group.name, {
    source: data.source,
    orthancStudyId: data.orthancStudyId,
    contentHash: data.contentHash,
    transform: group.keepsTransform ? data.transform?.name : undefined,
  });
  if (!choice || choice.contentHash !== data.contentHash || choice.target === data.target) return;
  await leaveTarget(jobRun, 'it was handed over before');
}
