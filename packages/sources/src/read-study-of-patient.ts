import type { PatientIdentity } from '@dicom-dispatch/core';
import type { OrthancClient, Study } from '@dicom-dispatch/orthanc';
import { addFacts, readStudy, type StudyFacts } from './read-study.ts';
import { studyError } from './study-error.ts';

/** A study with all text attributes of its first instance, and its patient. Patient data: keep it in memory. */
export interface StudyOfPatient {
  readonly study: StudyFacts;
  readonly identity: PatientIdentity;
}

/**
 * Reads a study as far as required to compare it with another one of the patient: attributes that are not in Orthanc's
 * database are those of one instance.
 *
 * @throws DispatchError `source-gone` if the study no longer exists
 */
export async function readStudyOfPatient(
  orthanc: OrthancClient,
  source: string,
  orthancStudyId: string,
  signal?: AbortSignal,
): Promise<StudyOfPatient> {
  const options = signal ? { signal } : undefined;
  const study = await readStudy(orthanc, source, orthancStudyId, signal);
  try {
    const [series] = await orthanc.studies.series(orthancStudyId, options);
    const instance = series?.Instances[0];
    const tags = instance === undefined ? {} : await orthanc.instances.tags(instance, options);
    const texts = Object.entries(tags).filter((entry): entry is [string, string] => isText(entry[1]));
    const read = addFacts(study, { study: Object.fromEntries(texts), series: new Map() });
    return { study: read, identity: identityOf(read, tags) };
  } catch (error) {
    throw await studyError(error, orthanc, { source, orthancStudyId }, 'manifest', signal);
  }
}

/**
 * All studies in a source with the Patient ID of a study, including itself. Their patients must still be compared: issuers of
 * Patient IDs are not in Orthanc's database.
 *
 * @throws DispatchError `source-gone` if the study no longer exists
 */
export async function listStudiesOfPatient(
  orthanc: OrthancClient,
  source: string,
  orthancStudyId: string,
  signal?: AbortSignal,
): Promise<Study[]> {
  const options = signal ? { signal } : undefined;
  try {
    const { ParentPatient: patient } = await orthanc.study(orthancStudyId, options);
    return await orthanc.patients.studies(patient, options);
  } catch (error) {
    throw await studyError(error, orthanc, { source, orthancStudyId }, 'manifest', signal);
  }
}

function identityOf({ tags: { study } }: StudyFacts, tags: Readonly<Record<string, unknown>>): PatientIdentity {
  const sequence: unknown = tags['IssuerOfPatientIDQualifiersSequence'];
  const item = (Array.isArray(sequence) ? sequence[0] : undefined) as Readonly<Record<string, unknown>> | undefined;
  const text = (value: unknown): string => (isText(value) ? value.trim() : '');
  return {
    patientId: text(study['PatientID']),
    issuer: text(study['IssuerOfPatientID']),
    universalEntityId: text(item?.['UniversalEntityID']),
    universalEntityIdType: text(item?.['UniversalEntityIDType']),
  };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
