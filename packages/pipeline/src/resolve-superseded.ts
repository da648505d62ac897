import type { DeliveryData } from '@dicom-dispatch/core';
import {
  act,
  unresolvedStates,
  type DeliveryRecord,
  type Records,
  type Resolution,
} from '@dicom-dispatch/state/records';

/** Maximum number of deliveries of one study that are checked: older ones were resolved before. */
const lookedAt = 100;

/**
 * Resolves failures of a study at a target when a later delivery has sent all that they were to send: the same target at the
 * same place, the same transform, and every instance, or the same selection.
 *
 * @param ended - a delivery that has just ended, with or without success
 * @returns ids of those that were resolved
 */
export async function resolveSuperseded(
  records: Records,
  ended: Pick<DeliveryData, 'source' | 'orthancStudyId' | 'target'>,
): Promise<string[]> {
  const all = (await records.deliveriesOf(ended, lookedAt)).filter(({ target }) => target === ended.target);
  const arrived = all.filter(({ state }) => state === 'delivered');
  const resolved: string[] = [];
  for (const one of all) {
    const from = unresolvedStates.find((state) => state === one.state);
    const by = from && arrived.find((other) => brings(other, one));
    if (!from || !by) continue;
    const reason = `superseded by ${by.deliveryId}, which has arrived`;
    const resolution: Resolution = { by: 'dicom-dispatch', reason, from, supersededBy: by.deliveryId };
    const { kind } = await records.change(one.deliveryId, {
      ...act('resolve'),
      from: [from],
      patch: { state: 'resolved', resolution },
      event: { kind: 'resolved', text: reason },
    });
    if (kind === 'done') resolved.push(one.deliveryId);
  }
  return resolved;
}

/** Whether a delivery that has arrived sent what another one was to send. */
function brings(arrived: DeliveryRecord, other: DeliveryRecord): boolean {
  return (
    arrived.routedAt >= other.routedAt &&
    arrived.deliveryId !== other.deliveryId &&
    arrived.arriving === undefined &&
    other.arriving === undefined &&
    (arrived.ledger ?? arrived.target) === (other.ledger ?? other.target) &&
    arrived.transform?.name === other.transform?.name &&
    (arrived.selections === undefined || JSON.stringify(arrived.selections) === JSON.stringify(other.selections))
  );
}
