import { givesNewUids, type ManifestInstance, type TransformConfig } from '@dicom-dispatch/core';
import type { Pseudonyms } from './pseudonyms.ts';
import { replaceUids } from './identifying-uids.ts';
import { newUid, pseudonymsOf } from './show-transformed.ts';

const identifiers = ['StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID'] as const;

/** What Orthanc is asked to do with one instance. */
export interface TransformRequest {
  readonly act: 'modify' | 'anonymise';
  readonly body: Record<string, unknown>;
}

/** Whether nothing changes but the transfer syntax. */
export function onlyTranscodes(transform: TransformConfig): boolean {
  const { anonymise, set, copy, remove, removePrivateTags } = transform;
  if (anonymise || removePrivateTags || givesNewUids(transform) || remove.length > 0) return false;
  return Object.keys(set).length === 0 && Object.keys(copy).length === 0;
}

/** Whether the request depends on tags of the instance that the manifest does not have. */
export function needsTags(transform: TransformConfig): boolean {
  return givesNewUids(transform) || transform.anonymise !== undefined || Object.keys(transform.copy).length > 0;
}

/**
 * The request for one instance. It does not depend on anything but the instance, the transform and the key, so that the
 * same instance always comes out the same.
 *
 * @param tags - the instance in Orthanc's simplified form; may be empty where `needsTags` says so
 */
export function transformRequest(
  instance: ManifestInstance,
  tags: Readonly<Record<string, unknown>>,
  transform: TransformConfig,
  pseudonyms: Pseudonyms | undefined,
  transferSyntaxUid: string | undefined,
): TransformRequest {
  const replace: Record<string, string> = {};
  if (givesNewUids(transform)) {
    const uid = newUid(transform, pseudonyms);
    Object.assign(replace, replaceUids(tags, uid), {
      StudyInstanceUID: uid(instance.studyInstanceUid),
      SeriesInstanceUID: uid(instance.seriesInstanceUid),
      SOPInstanceUID: uid(instance.sopInstanceUid),
    });
  }
  if (transform.anonymise && pseudonyms) Object.assign(replace, pseudonymsOf(textsOf(tags), transform, pseudonyms));
  else if (transform.anonymise) Object.assign(replace, emptyPatient(transform));
  for (const [to, from] of Object.entries(transform.copy)) {
    const value = tags[from];
    if (typeof value === 'string') replace[to] = value;
  }
  Object.assign(replace, transform.set);
  const keep = [...transform.keep, ...identifiers, 'PatientID'].filter((name) => !(name in replace));
  const { anonymise } = transform;
  return {
    act: anonymise ? 'anonymise' : 'modify',
    body: {
      Replace: replace,
      Remove: transform.remove,
      Keep: keep.filter((name) => anonymise === undefined || name !== 'PatientID' || transform.keep.includes(name)),
      ...(anonymise
        ? {
            KeepPrivateTags: anonymise.keepPrivateTags && !transform.removePrivateTags,
            ...(anonymise.profile !== undefined && { DicomVersion: anonymise.profile }),
          }
        : { RemovePrivateTags: transform.removePrivateTags }),
      Force: true,
      ...(transferSyntaxUid !== undefined && { Transcode: transferSyntaxUid }),
    },
  };
}

function emptyPatient(transform: TransformConfig): Record<string, string> {
  return Object.fromEntries(
    ['PatientID', 'PatientName'].filter((name) => !transform.keep.includes(name)).map((name) => [name, '']),
  );
}

function textsOf(tags: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tags).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
