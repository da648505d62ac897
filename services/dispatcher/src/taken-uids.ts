import { createHash } from 'node:crypto';
import { DispatchError, targetPlace, type ManifestInstance } from '@dicom-dispatch/core';
import type { StudyKey } from '@dicom-dispatch/state/records';
import type { ClaimAnswer } from '@dicom-dispatch/state/shared-uids';
import { deliveriesToSamePlace, isTwin, keepsUids, othersThatMayHave, shapesOf, uidsOf } from './at-same-place.ts';
import { fenceOf, type Attempt } from './delivery-job-run.ts';
import { areDifferent, filesSentBy } from './differing-files.ts';

/**
 * Which SOP Instance UIDs of some instances were sent with another study to the current address of the target, before any of
 * them is sent. They are claimed first, so that of two attempts one finds the confirmations of the other: the second one
 * waits until the first has ended.
 *
 * @param instances - with their sizes in the source
 * @throws DispatchError `uids-in-use` while another attempt sends one of them
 */
export async function takenUids(
  attempt: Attempt,
  instances: readonly ManifestInstance[],
): Promise<ReadonlyMap<string, StudyKey>> {
  const { context, data } = attempt;
  const sizes = new Map(instances.map(({ sopInstanceUid, sizeBytes }) => [sopInstanceUid, sizeBytes]));
  const uids = new Set(sizes.keys());
  await claim(attempt, uids);
  const taken = new Map<string, StudyKey>();
  for (const other of await othersThatMayHave(attempt, await context.sharedUids.find(data, uids))) {
    const deliveries = await deliveriesToSamePlace(attempt, other);
    if (isTwin(attempt, other)) {
      // The same instances received in another way are not a conflict, unless they certainly differ.
      if (data.transform) continue;
      for (const [uid, file] of await filesSentBy(attempt, deliveries)) {
        const sizeBytes = sizes.get(uid);
        if (areDifferent(file, { sizeBytes, sha256: undefined })) taken.set(uid, other);
      }
      continue;
    }
    for (const one of shapesOf(deliveries)) {
      for (const uid of await uidsOf(attempt, one)) if (uids.has(uid)) taken.set(uid, other);
    }
  }
  return taken;
}

/** Releases the claims of the attempt. Call it when its confirmed instances can be found. */
export async function releaseUids(attempt: Attempt): Promise<void> {
  const { context, data, claimedUids } = attempt;
  if (claimedUids.size === 0) return;
  await context.uidClaims.release(placeOf(attempt), data.deliveryId, claimedUids, fenceOf(attempt));
}

async function claim(attempt: Attempt, uids: ReadonlySet<string>): Promise<void> {
  const { context, data, claimedUids } = attempt;
  const place = placeOf(attempt);
  const entered = new Set<string>();
  for (;;) {
    const answer = await context.uidClaims.take(place, data.deliveryId, uids, fenceOf(attempt), [...entered]);
    if (answer.kind === 'taken') break;
    if (answer.kind === 'held') throw await inUse(attempt, answer);
    // Their attempts have ended without a release, e.g. because a dispatcher was killed. Their claims stay until their
    // confirmed instances can be found: this dispatcher may be killed as well.
    for (const deliveryId of answer.by) {
      const other = await context.records.delivery(deliveryId);
      if (other) await context.sharedUids.add(other, await uidsOf(attempt, other));
      entered.add(deliveryId);
    }
  }
  for (const uid of uids) claimedUids.add(uid);
}

async function inUse(
  { context, data }: Attempt,
  { by, sopInstanceUid }: ClaimAnswer & { readonly kind: 'held' },
): Promise<DispatchError> {
  const other = await context.records.delivery(by);
  const study = other ? `study ${other.orthancStudyId} of ${other.source}` : 'another study';
  const uid = sopInstanceUid.slice(0, 64);
  return new DispatchError('uids-in-use', `SOP Instance UID ${uid} is on its way to ${data.target} with ${study}`, {
    stage: 'manifest',
  });
}

/** Key that is the same for all targets at one address, with any name; deliveries with new UIDs have a separate one. */
function placeOf({ context, data }: Attempt): string {
  const config = context.config.targets[data.target];
  const { id, identity = '' } = config ? targetPlace(config) : { id: data.target };
  return createHash('sha256')
    .update(JSON.stringify([id, identity, keepsUids(data)]))
    .digest('hex')
    .slice(0, 16);
}
