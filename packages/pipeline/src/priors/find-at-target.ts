import { createHash } from 'node:crypto';
import type { Config, PriorCandidate } from '@dicom-dispatch/core';
import type { FoundStudy } from '@dicom-dispatch/target-kit';
import { OperationError } from '../operation-error.ts';
import { openPuller } from '../pull/open-puller.ts';
import { maxCandidates } from './find-at-source.ts';

/** Maximum number of studies of one patient that are checked. */
const maxFound = 500;

/**
 * The newest studies that a target lists for a Patient ID.
 *
 * @throws OperationError if the target cannot be queried by Patient ID; DispatchError
 */
export async function candidatesAtTarget(
  { config }: { readonly config: Config },
  target: string,
  patientId: string,
  signal: AbortSignal,
): Promise<PriorCandidate[]> {
  // Wildcards and the separator of lists (PS3.4 section C.2.2.2) would match other patients.
  if (/[*?\\]/.test(patientId)) {
    throw new OperationError(
      'invalid',
      `the Patient ID has a wildcard character: ${target} cannot be searched for it exactly`,
    );
  }
  const { puller, ...checked } = await openPuller({ config: () => config }, target);
  const found: PriorCandidate[] = [];
  for await (const study of puller.find({ patientId }, { ...checked, signal })) {
    found.push(asCandidate(target, study));
    if (found.length === maxFound) break;
  }
  return found
    .sort((one, other) => String(other.study['StudyDate'] ?? '').localeCompare(String(one.study['StudyDate'] ?? '')))
    .slice(0, maxCandidates);
}

function asCandidate(from: string, { studyInstanceUid, tags, series }: FoundStudy): PriorCandidate {
  const modalities = tags['ModalitiesInStudy']?.split('\\') ?? series.flatMap((one) => one.tags['Modality'] ?? []);
  return {
    studyInstanceUid,
    from,
    identity: {
      patientId: tags['PatientID'],
      // An archive that returns it empty may not support the key: the files have the value.
      issuer: tags['IssuerOfPatientID'],
      universalEntityId: undefined,
      universalEntityIdType: undefined,
    },
    study: { ...tags, ModalitiesInStudy: [...new Set(modalities)].filter((one) => one !== '').sort() },
    series: series.map((one) => one.tags),
  };
}

/** The id that Orthanc gives to a study: SHA-1 over Patient ID and Study Instance UID. */
export function orthancIdOf(patientId: string, studyInstanceUid: string): string {
  const hash = createHash('sha1').update(`${patientId}|${studyInstanceUid}`).digest('hex');
  return hash.match(/.{8}/g)?.join('-') ?? '';
}
