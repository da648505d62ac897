import { DispatchError, type ManifestInstance, type TargetConfig } from '@dicom-dispatch/core';
import type { StudyKey } from '@dicom-dispatch/state/records';
import type { DeliveryRun, TargetHandler } from '@dicom-dispatch/target-kit';

/** Data of the instances of a run, by their UIDs in the source. */
export interface RunInstances {
  readonly pending: readonly ManifestInstance[];
  readonly delivered: readonly ManifestInstance[];
}

/**
 * The run without instances whose SOP Instance UID the target has received with another study, or another series of the
 * study: for targets that identify instances by this UID alone, with `onConflict: error`. They are quarantined.
 *
 * @param taken - which SOP Instance UIDs of some instances were sent to the address of the target with another study
 */
export async function leaveOutConflicts(
  run: DeliveryRun<TargetConfig>,
  handler: Pick<TargetHandler, 'keyedBy'>,
  { pending, delivered }: RunInstances,
  taken: (instances: readonly ManifestInstance[]) => Promise<ReadonlyMap<string, StudyKey>>,
): Promise<DeliveryRun<TargetConfig>> {
  const { onConflict } = run.config as { readonly onConflict?: unknown };
  if (handler.keyedBy !== 'sop-instance-uid' || onConflict !== 'error' || pending.length === 0) return run;
  const others = await taken(pending);
  const owners = new Map(delivered.map((one) => [one.sopInstanceUid, one]));
  // Sorted, so that every attempt selects the same owner.
  for (const one of pending.toSorted((a, b) => (a.sourceId < b.sourceId ? -1 : 1))) {
    if (!owners.has(one.sopInstanceUid)) owners.set(one.sopInstanceUid, one);
  }
  const shown = new Map(run.pending.map((one) => [one.sourceId, one]));
  const left = new Set<string>();
  for (const { sourceId, sopInstanceUid, sharesSopInstanceUid } of pending) {
    const other = others.get(sopInstanceUid);
    // Of a part, all are left: which instance has the UID is known when the study is complete.
    const isOwner = run.isPart !== true && owners.get(sopInstanceUid)?.sourceId === sourceId;
    if (!other && (isOwner || sharesSopInstanceUid !== true)) continue;
    left.add(sourceId);
    if (run.isPart && !other) continue;
    const error = conflict(run.targetName, sopInstanceUid, other);
    run.log.warn('instance quarantined', { sopInstanceUid, code: error.code });
    await run.report(shown.get(sourceId)!, { kind: 'quarantined', error });
  }
  const isLeft = ({ sourceId }: ManifestInstance): boolean => left.has(sourceId);
  return {
    ...run,
    pending: run.pending.filter((one) => !isLeft(one)),
    quarantined: [...(run.quarantined ?? []), ...run.pending.filter(isLeft)],
  };
}

function conflict(target: string, sopInstanceUid: string, other: StudyKey | undefined): DispatchError {
  const uid = sopInstanceUid.slice(0, 64);
  const owner = other ? `study ${other.orthancStudyId} of ${other.source}` : 'another series of the study';
  return new DispatchError('target-conflict', `${target} has got SOP Instance UID ${uid} with ${owner}`, {
    stage: 'transfer',
    remedy:
      'Find out which of the two is correct, and remove or correct the other one. To send both, set onConflict: note for the target and retry the delivery.',
  });
}
