import type { PatientIdentity } from '@dicom-dispatch/core';
import type { OrthancClient, Study } from '@dicom-dispatch/orthanc';
import { addFacts, readStudy, type StudyFacts } from './read-study.ts';
import { studyError } from './study-error.ts';

/** A study with all text attributes of its first instance, and whose it is. Patient data: keep it in memory. */
export interface StudyOfPatient {
  readonly study: StudyFacts;
  readonly identity: PatientIdentity;
}

/**
 * Reads a study as far as its comparison with another one of the patient goes: attributes that Orthanc does not keep in its
 * database are those of one instance.
 *
 * @throws DispatchError `source-gone` when the study no longer exists
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
 * All studies in a source that have the Patient ID of a study, itself included. Whose they are has still to be compared: issuers of
 * Patient IDs are not known to Orthanc's database.
 *
 * @throws DispatchError `source-gone` when the study no longer exists
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
