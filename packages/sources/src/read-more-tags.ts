import { setTimeout as sleep } from 'node:timers/promises';
import { unreadTags } from '@dicom-dispatch/core';
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';
import { isOfOneFile } from './instance-error.ts';

type Tags = Readonly<Record<string, string>>;

/** Parallel requests if one request is not sufficient. */
const lanes = 4;
/** Milliseconds before an unreadable file is requested once more. */
const againAfterMs = 500;
/** With more unreadable files the study is postponed. */
const maxUnread = 100;
/** Instances that represent the tags of their series: one with an unreadable file is skipped. */
const maxFirst = 20;

/** Tags that Orthanc stores in its database for every study and series; it reads others from a file. */
const mainTags = new Set(
  `PatientID PatientName PatientBirthDate PatientSex OtherPatientIDs
   StudyInstanceUID StudyDate StudyTime StudyID StudyDescription AccessionNumber
   RequestedProcedureDescription InstitutionName RequestingPhysician ReferringPhysicianName
   ModalitiesInStudy NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances
   SeriesInstanceUID SeriesNumber SeriesDate SeriesTime SeriesDescription Modality
   Manufacturer StationName BodyPartExamined SequenceName ProtocolName ContrastBolusAgent
   PerformedProcedureStepDescription AcquisitionDeviceProcessingDescription`.split(/\s+/),
);

/** Tags of one level that rules use and that must be read from files: they need an additional request. */
export function beyondMainTags(wanted: Iterable<string>): string[] {
  return [...new Set(wanted)].filter((name) => !mainTags.has(name));
}

/** The study with the tags of the rules; each is that of its first instance. */
export async function readMoreStudyTags(
  orthanc: OrthancClient,
  orthancStudyId: string,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Tags> {
  if (names.length === 0) return {};
  const call = callOf(signal);
  return inOneRequest(
    async () =>
      texts((await orthanc.studies.read(orthancStudyId, { requestedTags: names, ...call })).RequestedTags, names),
    async () => {
      const all = await orthanc.studies.series(orthancStudyId, call);
      return tagsOfFirst(orthanc, firstOfEach(all), names, call);
    },
  );
}

/** Series Instance UID to the tags of the rules; each is that of the series' first instance. */
export async function readMoreSeriesTags(
  orthanc: OrthancClient,
  orthancStudyId: string,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Tags>> {
  if (names.length === 0) return new Map();
  const call = callOf(signal);
  const all = await orthanc.studies.series(orthancStudyId, call);
  const entries = await inLanes(all, async ({ ID, Instances, MainDicomTags }) => {
    const tags = await inOneRequest(
      async () => texts((await orthanc.series.read(ID, { requestedTags: names, ...call })).RequestedTags, names),
      () => tagsOfFirst(orthanc, Instances, names, call),
    );
    return [MainDicomTags['SeriesInstanceUID'] ?? '', tags] as const;
  });
  return new Map(entries);
}

/**
 * Id of the instance in Orthanc to tags of each instance of a study. Orthanc reads each file for this: slow for large
 * studies. An instance with an unreadable file has `unreadTags`.
 *
 * @throws OrthancError if it does not respond, or too many files are unreadable
 */
export async function readInstanceTags(
  orthanc: OrthancClient,
  study: { readonly orthancStudyId: string; readonly studyInstanceUid: string },
  names: readonly string[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, Tags>> {
  if (names.length === 0) return new Map();
  const call = callOf(signal);
  return inOneRequest(
    async () => {
      const query = { StudyInstanceUID: study.studyInstanceUid };
      // Those of another patient with the same Study Instance UID are returned too, and ignored.
      const found = await orthanc.find({ level: 'instances', query, requestedTags: names }, call);
      return new Map(found.map((one) => [one.ID, texts(one.RequestedTags, names)] as const));
    },
    async () => {
      const all = await orthanc.studies.instances(study.orthancStudyId, call);
      let unread = 0;
      const read = await inLanes(all, async ({ ID }) => {
        try {
          return [ID, await tagsOfInstance(orthanc, ID, names, call)] as const;
        } catch (error) {
          unread += 1;
          if (unread > maxUnread || !(await isOfOneFile(error, { orthanc, signal }))) throw error;
        }
        await sleep(againAfterMs, undefined, call);
        try {
          return [ID, await tagsOfInstance(orthanc, ID, names, call)] as const;
        } catch (error) {
          if (!(await isOfOneFile(error, { orthanc, signal }))) throw error;
          return [ID, unreadTags] as const;
        }
      });
      return new Map(read);
    },
  );
}

const oneByOneAfter: ReadonlySet<string> = new Set(['bad-request', 'unsupported', 'server-error']);

/**
 * Requests tags; an Orthanc before 1.11 does not support this, so complete instances are requested instead. One that does not
 * know a keyword rejects the complete request, and one that cannot read one of the files fails: then the instances are read
 * individually, too.
 */
async function inOneRequest<T>(ask: () => Promise<T>, oneByOne: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof OrthancError) || !oneByOneAfter.has(error.code)) throw error;
    return oneByOne();
  }
}

async function tagsOfInstance(
  orthanc: OrthancClient,
  id: string,
  names: readonly string[],
  call: { signal?: AbortSignal },
): Promise<Tags> {
  return texts(await orthanc.instances.tags(id, call), names);
}

/** First one instance of each series, then the others: a complete series may be unreadable. */
function firstOfEach(series: readonly { readonly Instances: readonly string[] }[]): string[] {
  return [
    ...series.flatMap(({ Instances: [first = ''] }) => first),
    ...series.flatMap(({ Instances: [, ...rest] }) => rest),
  ];
}

/** Those of the first instance with a readable file. */
async function tagsOfFirst(
  orthanc: OrthancClient,
  ids: readonly string[],
  names: readonly string[],
  call: { signal?: AbortSignal },
): Promise<Tags> {
  for (const [at, id] of ids.entries()) {
    try {
      return await tagsOfInstance(orthanc, id, names, call);
    } catch (error) {
      const isLast = at + 1 >= Math.min(ids.length, maxFirst);
      if (isLast || !(await isOfOneFile(error, { orthanc, ...call }))) throw error;
    }
  }
  return {};
}

async function inLanes<T, R>(all: readonly T[], act: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = all.values();
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (const one of queue) results.push(await act(one));
    }),
  );
  return results;
}

function callOf(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}

function texts(from: unknown, names: readonly string[]): Record<string, string> {
  const tags = (from ?? {}) as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = tags[name];
      return typeof value === 'string' && value !== '' ? [[name, value] as const] : [];
    }),
  );
}
