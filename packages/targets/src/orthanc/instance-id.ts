import { hash } from 'node:crypto';
import { z } from 'zod';
import type { ManifestInstance, StudyTags } from '@dicom-dispatch/target-kit';
import type { HttpConnection } from '../http/index.ts';
import { orthancError } from './errors.ts';

const described = z.object({ MainDicomTags: z.object({ SOPInstanceUID: z.string() }) });

/**
 * Whether an id of the target is that of an instance. Orthanc's ids are the SHA-1 of patient ID, study, series and instance, and
 * equal in every Orthanc. If the id differs, e.g. because a transform has changed the patient ID, the target is queried.
 */
export async function isOfInstance(
  http: HttpConnection,
  id: string,
  instance: ManifestInstance,
  study: StudyTags,
  signal: AbortSignal,
): Promise<boolean> {
  if (id === instance.sourceId || id === idOf(instance, study)) return true;
  const answer = await http.request({ method: 'GET', path: `/instances/${id}`, signal });
  if (answer.status !== 200) throw await orthancError(answer, 'the question for an instance');
  const parsed = described.safeParse(await answer.json(1_000_000));
  return parsed.success && parsed.data.MainDicomTags.SOPInstanceUID === instance.sopInstanceUid;
}

/** As Orthanc computes it from patient ID, study, series and instance. */
export function idOf(
  { studyInstanceUid, seriesInstanceUid, sopInstanceUid }: ManifestInstance,
  { study }: StudyTags,
): string {
  const digest = hash(
    'sha1',
    [study['PatientID']?.trim() ?? '', studyInstanceUid, seriesInstanceUid, sopInstanceUid].join('|'),
  );
  return (digest.match(/.{8}/g) ?? []).join('-');
}
