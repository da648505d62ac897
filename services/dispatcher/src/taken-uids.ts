import { createHash } from 'node:crypto';
import { DispatchError, targetPlace, type ManifestInstance } from '@dicom-dispatch/core';
import type { StudyKey } from '@dicom-dispatch/state/records';
import type { ClaimAnswer } from '@dicom-dispatch/state/shared-uids';
import { deliveriesToSamePlace, isTwin, keepsUids, othersThatMayHave, shapesOf, uidsOf } from './at-same-place.ts';
import { fenceOf, type Attempt } from './delivery-job-run.ts';
import { areDifferent, filesSentBy } from './differing-files.ts';

/**
 * Which SOP Instance UIDs of some instances have come with another study to the place where the target is now, before any of them is
 * sent. They are claimed first, so that of two attempts one finds what the other has confirmed: the one that comes second waits
 * until the first has ended.
 *
 * @param instances - with the sizes that they have in the source
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
      // The same instances by another way are no conflict, unless they are others for certain.
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

/** Lets others have what the attempt has claimed. To be called when what it has confirmed can be found. */
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
    // Their attempts have ended without a word, as when a dispatcher is killed. Their claims stay until what they have confirmed can be
    // found: this dispatcher may be killed as well.
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

/** The same for all targets at one address, by whatever name; what leaves under new UIDs is by itself. */
function placeOf({ context, data }: Attempt): string {
  const config = context.config.targets[data.target];
  const { id, identity = '' } = config ? targetPlace(config) : { id: data.target };
  return createHash('sha256')
    .update(JSON.stringify([id, identity, keepsUids(data)]))
    .digest('hex')
    .slice(0, 16);
}
