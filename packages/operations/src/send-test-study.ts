import { randomUUID } from 'node:crypto';
import { sourceError, type OrthancClient } from '@dicom-dispatch/sources';

export interface TestStudy {
  readonly studyInstanceUid: string;
  readonly orthancStudyId: string;
  readonly instances: number;
}

/** Modalities that a test study may have. */
export const testModalities = ['CT', 'MR', 'CR', 'DX', 'US', 'SR', 'OT'] as const;
export type TestModality = (typeof testModalities)[number];

const instances = 3;

/**
 * Stores a small synthetic study in a source, from where the rules send it. It is a new one each time, and its patient,
 * description and institution show that it is a test.
 *
 * @throws DispatchError if the source cannot be reached, or rejects it
 */
export async function sendTestStudy(
  orthanc: OrthancClient,
  source: string,
  { modality = 'CT', signal }: { readonly modality?: TestModality; readonly signal?: AbortSignal } = {},
): Promise<TestStudy> {
  // Loaded on demand, to save memory in processes that do not use it.
  const { makeStudy } = await import('@dicom-dispatch/samples');
  const seed = randomUUID();
  const study = makeStudy({
    seed,
    modality,
    instancesPerSeries: instances,
    attributes: {
      PatientName: 'TEST^DICOM-DISPATCH',
      PatientID: `TEST-${seed.slice(0, 8)}`,
      AccessionNumber: `TEST-${seed.slice(0, 8)}`,
      StudyDescription: 'Test study of dicom-dispatch',
      InstitutionName: 'TEST',
    },
  });
  let orthancStudyId = '';
  try {
    for (const { bytes } of study)
      orthancStudyId = (await orthanc.uploadInstance(bytes, signal && { signal })).ParentStudy ?? '';
  } catch (error) {
    throw sourceError(error, source);
  }
  return { studyInstanceUid: study.studyInstanceUid, orthancStudyId, instances: study.instanceCount };
}
