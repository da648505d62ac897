import { priorsFromSource, type PatientIdentity, type PriorCandidate } from '@dicom-dispatch/core';
import { listStudiesOfPatient, readStudyOfPatient, type OrthancClient } from '@dicom-dispatch/sources';

/** Maximum number of studies of a patient that are checked, newest first. */
export const maxCandidates = 50;
/** Studies that are read in parallel. */
const lanes = 4;

export interface CandidateAtSource extends PriorCandidate {
  readonly orthancStudyId: string;
  readonly identity: PatientIdentity;
}

/**
 * The other studies in a source with the Patient ID of a study, the newest of them.
 *
 * @throws DispatchError
 */
export async function candidatesAtSource(
  orthanc: OrthancClient,
  study: { readonly source: string; readonly orthancStudyId: string },
  signal: AbortSignal,
): Promise<CandidateAtSource[]> {
  const all = await listStudiesOfPatient(orthanc, study.source, study.orthancStudyId, signal);
  const others = all
    .filter(({ ID }) => ID !== study.orthancStudyId)
    .sort((one, other) => dateOf(other).localeCompare(dateOf(one)))
    .slice(0, maxCandidates);
  const found: CandidateAtSource[] = [];
  const rest = others.values();
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (const { ID } of rest) {
        const candidate = await readCandidate(orthanc, study.source, ID, signal);
        if (candidate) found.push(candidate);
      }
    }),
  );
  return found;
}

/** @returns undefined if it has just left the source */
async function readCandidate(
  orthanc: OrthancClient,
  source: string,
  orthancStudyId: string,
  signal: AbortSignal,
): Promise<CandidateAtSource | undefined> {
  try {
    const { study, identity } = await readStudyOfPatient(orthanc, source, orthancStudyId, signal);
    const { studyInstanceUid, facts } = study;
    return {
      studyInstanceUid,
      orthancStudyId,
      from: priorsFromSource,
      identity,
      study: facts.study,
      series: facts.series,
    };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'source-gone') return undefined;
    throw error;
  }
}

function dateOf({ MainDicomTags: tags }: { readonly MainDicomTags: Readonly<Record<string, string>> }): string {
  return `${tags['StudyDate'] ?? ''} ${tags['StudyTime'] ?? ''}`;
}
