import { contentHash, priorsFromSource, type Config, type ManifestInstance } from '@dicom-dispatch/core';
import type { OrthancClient } from '@dicom-dispatch/sources';

/** Metadata of a study in Orthanc: the content hash of what was pulled there as a prior. Numbers from 1024 are free for users. */
const pulledMark = '8472';

/** Whether rules of the configuration pull priors into sources: only then is a mark looked for. */
export function pullsPriors({ rules }: Config): boolean {
  return rules.some(({ priors }) => priors !== undefined && priors.from !== priorsFromSource);
}

/**
 * Writes at the study itself that its present content was pulled: a Redis that has data of an earlier time does not know.
 * Best effort: an Orthanc that refuses it, or that has lost the study, is left as it is.
 */
export async function markPulled(
  orthanc: OrthancClient,
  orthancStudyId: string,
  manifest: readonly ManifestInstance[],
): Promise<void> {
  await orthanc.studies.setMetadata(orthancStudyId, pulledMark, contentHash(manifest)).catch(() => {});
}

/** Whether a mark at the study has its present content; false where it cannot be read. */
export async function isMarkedPulled(
  orthanc: OrthancClient,
  orthancStudyId: string,
  manifest: readonly ManifestInstance[],
): Promise<boolean> {
  const mark = await orthanc.studies.metadataValue(orthancStudyId, pulledMark).catch(() => undefined);
  return mark?.value === contentHash(manifest);
}
