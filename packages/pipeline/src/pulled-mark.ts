import { contentHash, priorsFromSource, type Config, type ManifestInstance } from '@dicom-dispatch/core';
import type { OrthancClient } from '@dicom-dispatch/sources';

/**
 * Metadata of a study in Orthanc: the content hash of instances pulled as a prior. Numbers from 1024 are for user-defined
 * metadata.
 */
const pulledMark = '8472';

/** Whether rules of the configuration pull priors into sources: only then the mark is read. */
export function pullsPriors({ rules }: Config): boolean {
  return rules.some(({ priors }) => priors !== undefined && priors.from !== priorsFromSource);
}

/**
 * Marks the current content in the source itself as pulled, because Redis may be restored to earlier data.
 * Best effort: ignored if Orthanc rejects it or no longer has the study.
 */
export async function markPulled(
  orthanc: OrthancClient,
  orthancStudyId: string,
  manifest: readonly ManifestInstance[],
): Promise<void> {
  await orthanc.studies.setMetadata(orthancStudyId, pulledMark, contentHash(manifest)).catch(() => {});
}

/** Whether the mark of the study matches its current content; false if it cannot be read. */
export async function isMarkedPulled(
  orthanc: OrthancClient,
  orthancStudyId: string,
  manifest: readonly ManifestInstance[],
): Promise<boolean> {
  const mark = await orthanc.studies.metadataValue(orthancStudyId, pulledMark).catch(() => undefined);
  return mark?.value === contentHash(manifest);
}
