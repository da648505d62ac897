import {
  givesNewUids,
  hasPixelData,
  type ManifestInstance,
  type StudyTags,
  type TransformConfig,
} from '@dicom-dispatch/core';
import type { Pseudonyms } from './pseudonyms.ts';

type Tags = Readonly<Record<string, string>>;

/** The remaining tags of an anonymised study for names of files and similar: none about the patient. */
const harmless = new Set([
  'ModalitiesInStudy',
  'NumberOfStudyRelatedSeries',
  'NumberOfStudyRelatedInstances',
  'Modality',
  'SeriesNumber',
  'BodyPartExamined',
  'Manufacturer',
  'ManufacturerModelName',
]);

/** An instance as the target will see it. */
export function showInstance(
  instance: ManifestInstance,
  transform: TransformConfig,
  pseudonyms: Pseudonyms | undefined,
): ManifestInstance {
  const uid = newUid(transform, pseudonyms);
  return {
    ...instance,
    sopInstanceUid: uid(instance.sopInstanceUid),
    seriesInstanceUid: uid(instance.seriesInstanceUid),
    studyInstanceUid: uid(instance.studyInstanceUid),
    transferSyntaxUid: wantedSyntax(instance, transform) ?? instance.transferSyntaxUid,
  };
}

/** The transfer syntax of a transform: only instances with pixel data are transcoded. */
export function wantedSyntax(instance: ManifestInstance, transform: TransformConfig): string | undefined {
  return hasPixelData(instance) ? transform.transferSyntax : undefined;
}

/**
 * The tags of the study as the target will see them, for names of files and similar. Only the source knows how an
 * anonymisation changes a tag: here every tag is removed that is not known to be kept.
 */
export function showStudy(study: StudyTags, transform: TransformConfig, pseudonyms: Pseudonyms | undefined): StudyTags {
  const uid = newUid(transform, pseudonyms);
  const patient = transform.anonymise && pseudonyms ? pseudonymsOf(study.study, transform, pseudonyms) : {};
  return {
    studyInstanceUid: uid(study.studyInstanceUid),
    study: {
      ...change(study.study, transform),
      ...patient,
      ...setOf(transform),
      StudyInstanceUID: uid(study.studyInstanceUid),
    },
    series: new Map(
      Array.from(study.series, ([seriesUid, tags]) => {
        const shown = { ...change(tags, transform), ...setIn(tags, transform), SeriesInstanceUID: uid(seriesUid) };
        return [uid(seriesUid), shown];
      }),
    ),
  };
}

/** Patient ID, name and accession number of an anonymised study, except kept ones. */
export function pseudonymsOf(tags: Tags, transform: TransformConfig, pseudonyms: Pseudonyms): Record<string, string> {
  if (!transform.anonymise?.pseudonyms) return without({ PatientID: '', PatientName: '' }, transform.keep);
  // A patient without an ID cannot be recognised in another study.
  const original = tags['PatientID']?.trim() || tags['StudyInstanceUID'] || '';
  const patient = pseudonyms.patientId(original);
  const accession = tags['AccessionNumber']?.trim() ?? '';
  return without(
    {
      PatientID: patient,
      PatientName: patient,
      ...(accession !== '' && { AccessionNumber: pseudonyms.accessionNumber(accession) }),
    },
    transform.keep,
  );
}

export function newUid(transform: TransformConfig, pseudonyms: Pseudonyms | undefined): (uid: string) => string {
  return pseudonyms && givesNewUids(transform) ? (uid) => pseudonyms.uid(uid) : (uid) => uid;
}

function change(tags: Tags, transform: TransformConfig): Tags {
  const removed = new Set(transform.remove);
  const stays = (name: string): boolean =>
    !removed.has(name) && (!transform.anonymise || harmless.has(name) || transform.keep.includes(name));
  const copied = Object.entries(transform.copy).flatMap(([to, from]) => {
    const value = tags[from];
    return value === undefined ? [] : [[to, value] as const];
  });
  return {
    ...Object.fromEntries(Object.entries(tags).filter(([name]) => stays(name))),
    ...Object.fromEntries(copied),
  };
}

function setOf(transform: TransformConfig): Tags {
  return transform.set;
}

/** For a series only its existing tags: a tag of the study is not one of each series. */
function setIn(tags: Tags, transform: TransformConfig): Tags {
  return Object.fromEntries(Object.entries(transform.set).filter(([name]) => name in tags));
}

function without(tags: Record<string, string>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(tags).filter(([name]) => !names.includes(name)));
}
