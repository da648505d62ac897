import { contentHash, type ManifestInstance } from '@dicom-dispatch/core';
import type { StudyFacts } from '@dicom-dispatch/sources';
import type { PulledStudies } from '@dicom-dispatch/state/priors';
import type { Records } from '@dicom-dispatch/state/records';

/**
 * Whether all that a source has of a study was pulled there as a prior: then it is none that arrives, and the rules do not route it.
 * What comes besides makes it one.
 */
export async function wasPulled(
  { records, pulled }: { readonly records: Records; readonly pulled: PulledStudies },
  source: string,
  { orthancStudyId, studyInstanceUid, lastUpdate }: StudyFacts,
  manifest: readonly ManifestInstance[],
): Promise<boolean> {
  const [record, underWay] = await Promise.all([
    records.study({ source, orthancStudyId }),
    pulled.underWay(source, studyInstanceUid),
  ]);
  if (record?.pulled !== undefined && record.pulled === contentHash(manifest)) {
    if (record.lastUpdate !== lastUpdate) await records.enqueued({ ...record, lastUpdate });
    return true;
  }
  return underWay.size > 0 && manifest.every(({ sopInstanceUid }) => underWay.has(sopInstanceUid));
}
