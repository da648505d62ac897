import type { WantedTags } from '@dicom-dispatch/core';
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';

type Tags = Readonly<Record<string, string>>;

/** What Orthanc keeps in its database of every study and series; anything else it reads from a file. */
const mainTags = new Set(
  `PatientID PatientName PatientBirthDate PatientSex OtherPatientIDs
   StudyInstanceUID StudyDate StudyTime StudyID StudyDescription AccessionNumber
   RequestedProcedureDescription InstitutionName RequestingPhysician ReferringPhysicianName
   ModalitiesInStudy NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances
   SeriesInstanceUID SeriesNumber SeriesDate SeriesTime SeriesDescription Modality
   Manufacturer StationName BodyPartExamined SequenceName ProtocolName ContrastBolusAgent
   PerformedProcedureStepDescription AcquisitionDeviceProcessingDescription`.split(/\s+/),
);

/** Tags of one level that rules ask for and that have to be read from files: they cost a request more. */
export function beyondMainTags(wanted: ReadonlySet<string>): string[] {
  return [...wanted].filter((name) => !mainTags.has(name));
}

/** The study with the tags that rules ask for; each is that of its first instance. */
export async function readMoreStudyTags(
  orthanc: OrthancClient,
  orthancStudyId: string,
  wanted: WantedTags,
  signal: AbortSignal | undefined,
): Promise<Tags> {
  const names = beyondMainTags(wanted.study);
  if (names.length === 0) return {};
  return (
    (await unlessUnknown(async () => {
      const read = await orthanc.studies.read(orthancStudyId, { requestedTags: names, ...(signal && { signal }) });
      return texts(read.RequestedTags);
    })) ?? {}
  );
}

/** Series Instance UID to tags that rules ask for; each is that of the series' first instance. */
export async function readMoreSeriesTags(
  orthanc: OrthancClient,
  studyInstanceUid: string,
  wanted: WantedTags,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Tags>> {
  const requestedTags = beyondMainTags(wanted.series);
  if (requestedTags.length === 0) return new Map();
  const query = { StudyInstanceUID: studyInstanceUid };
  const found = await unlessUnknown(() =>
    orthanc.find({ level: 'series', query, requestedTags }, signal ? { signal } : undefined),
  );
  return new Map((found ?? []).map((one) => [one.MainDicomTags['SeriesInstanceUID'] ?? '', texts(one.RequestedTags)]));
}

/**
 * SOP Instance UID to tags of each instance of a study. Orthanc reads each file for it: slow for large studies.
 *
 * @throws OrthancError when it does not answer
 */
export async function readInstanceTags(
  orthanc: OrthancClient,
  studyInstanceUid: string,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, Tags>> {
  if (names.length === 0) return new Map();
  const query = { StudyInstanceUID: studyInstanceUid };
  const found = await unlessUnknown(() =>
    orthanc.find({ level: 'instances', query, requestedTags: names }, signal ? { signal } : undefined),
  );
  return new Map((found ?? []).map((one) => [one.MainDicomTags['SOPInstanceUID'] ?? '', texts(one.RequestedTags)]));
}

/** Orthanc refuses a keyword that it does not know: the tag is then missing, as for any study that lacks it. */
async function unlessUnknown<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof OrthancError && (error.code === 'bad-request' || error.code === 'unsupported'))
      return undefined;
    throw error;
  }
}

function texts(tags: unknown): Record<string, string> {
  const entries = Object.entries((tags ?? {}) as Record<string, unknown>);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1] !== ''),
  );
}
