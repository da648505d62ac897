import type { DeliveryPatch } from '@dicom-dispatch/state/records';
import type { DeliveryData } from '@dicom-dispatch/core';
import { handOver, readChoice } from '@dicom-dispatch/pipeline';
import type { DispatcherContext } from './dispatcher-context.ts';

/** Ends the turn of a delivery that another target of its group has taken over: its job is done. */
export class HandedOver extends Error {
  override readonly name = 'HandedOver';
}

/**
 * Gives a delivery to another target of its group, if it has one that can be used.
 *
 * @throws HandedOver when it did; otherwise nothing has changed
 */
export async function leaveTarget(
  context: DispatcherContext,
  data: DeliveryData,
  why: string,
  options: { readonly exhausted?: boolean; readonly patch?: DeliveryPatch } = {},
): Promise<void> {
  if (!data.group || data.group.strategy === 'all') return;
  const to = await handOver(context, data, why, options.exhausted);
  if (to === undefined) return;
  await context.records.update(
    data.deliveryId,
    { ...options.patch, state: 'moved', endedAt: Date.now(), nextAttemptAt: null, worker: null },
    { kind: 'moved', text: `${to} has taken it over: ${why}` },
  );
  context.log.warn({ delivery: data.deliveryId, target: data.target, to, why }, 'delivery was handed over');
  context.metrics.ended.inc({ target: data.target, state: 'moved' });
  throw new HandedOver(`handed over to ${to}`);
}

/** @throws HandedOver when another target got the delivery before, and the worker was killed before it could say so */
export async function leaveIfLeft(context: DispatcherContext, data: DeliveryData): Promise<void> {
  const { group } = data;
  if (!group || group.strategy === 'all') return;
  const choice = await readChoice(context, group.name, {
    source: data.source,
    orthancStudyId: data.orthancStudyId,
    contentHash: data.contentHash,
    transform: group.keepsTransform ? data.transform?.name : undefined,
  });
  if (!choice || choice.contentHash !== data.contentHash || choice.target === data.target) return;
  await leaveTarget(context, data, 'it was given away before');
}
