import { DispatchError, unreadTags, type ManifestInstance } from '@dicom-dispatch/core';
import type { LedgerKey } from '@dicom-dispatch/state/ledger';
import type { DeliveryDependencies } from './run-delivery.ts';

/**
 * Whether an instance is to be sent depends on tags that the source cannot read from its file: it is quarantined and named,
 * instead of being sent or skipped.
 *
 * @param tags - by the instance's id in the source
 * @returns how many were not in the ledger before
 */
export async function quarantineUnread<T extends ManifestInstance>(
  { ledger, fence, progress, attempt, data }: DeliveryDependencies,
  key: LedgerKey,
  instances: readonly T[],
  tags: ReadonlyMap<string, Readonly<Record<string, string>>> | undefined,
): Promise<number> {
  const unread = instances.filter(({ sourceId }) => tags?.get(sourceId) === unreadTags);
  if (unread.length === 0) return 0;
  const { quarantined, delivered } = await ledger.compare(key, unread);
  const known = new Set([...quarantined, ...delivered]);
  const added = unread.filter((instance) => !known.has(instance));
  for (const instance of added) {
    const text = `source ${data.source} cannot read instance ${instance.sopInstanceUid}: whether it is to be sent depends on its tags`;
    const error = new DispatchError('source-instance-failed', text, { stage: 'manifest', disposition: 'permanent' });
    const { code, message } = error;
    await ledger.quarantine(
      key,
      { ...instance, attempt, deliveryId: data.deliveryId, error: { code, message } },
      fence,
    );
    progress.quarantined(instance.sopInstanceUid, error);
  }
  return added.length;
}
