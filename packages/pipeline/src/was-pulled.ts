import { contentHash } from '@dicom-dispatch/core';
import type { PulledStudies } from '@dicom-dispatch/state/priors';
import type { Records } from '@dicom-dispatch/state/records';
import type { SnapshotForRouting } from './read-for-routing.ts';

type Snapshot = Pick<SnapshotForRouting, 'study' | 'manifest'>;

/**
 * Whether the whole content of a study in a source was pulled as a prior: then it is not an arriving study, and the rules do
 * not route it. Additional instances make it one.
 *
 * @param readAgain - a pull that ended after the snapshot was read has brought more than the snapshot shows
 */
export async function wasPulled(
  { records, pulled }: { readonly records: Records; readonly pulled: PulledStudies },
  source: string,
  snapshot: Snapshot,
  readAgain: () => Promise<Snapshot>,
): Promise<boolean> {
  const { orthancStudyId, studyInstanceUid } = snapshot.study;
  // In this order: a pull that ends writes the record first.
  const underWay = await pulled.underWay(source, studyInstanceUid);
  const record = await records.study({ source, orthancStudyId });
  if (record?.pulled !== undefined) {
    const now = record.pulled === contentHash(snapshot.manifest) ? snapshot : await readAgain();
    if (record.pulled === contentHash(now.manifest)) {
      const { lastUpdate } = now.study;
      if (record.lastUpdate !== lastUpdate) await records.enqueued({ ...record, lastUpdate });
      return true;
    }
  }
  return underWay.size > 0 && snapshot.manifest.every(({ sopInstanceUid }) => underWay.has(sopInstanceUid));
}
