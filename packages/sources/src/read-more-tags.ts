import { setTimeout as sleep } from 'node:timers/promises';
import { unreadTags } from '@dicom-dispatch/core';
import { OrthancError, type OrthancClient } from '@dicom-dispatch/orthanc';
import { isOfOneFile } from './instance-error.ts';

type Tags = Readonly<Record<string, string>>;

/** Requests at once where one request cannot do it. */
const lanes = 4;
/** Before a file that could not be read is asked for once more, in milliseconds. */
const againAfterMs = 500;
/** With more files that cannot be read the study is left to a later try. */
const maxUnread = 100;
/** Instances that stand for the tags of their series: one whose file cannot be read is passed over. */
const maxFirst = 20;

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
export function beyondMainTags(wanted: Iterable<string>): string[] {
  return [...new Set(wanted)].filter((name) => !mainTags.has(name));
}

/** The study with the tags that rules ask for; each is that of its first instance. */
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

/** Series Instance UID to tags that rules ask for; each is that of the series' first instance. */
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
 * Id of the instance in Orthanc to tags of each instance of a study. Orthanc reads each file for it: slow for large studies.
 * An instance whose file it cannot read has `unreadTags`.
 *
 * @throws OrthancError when it does not answer
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
      // Those of another patient with the same Study Instance UID come too, and are not looked at.
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
 * Asks for requested tags; an Orthanc before 1.11 does not know them and is asked for whole instances instead. One that
 * does not know a keyword refuses the whole request, and one that cannot read one of the files fails: then the instances are read one by
 * one, too.
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

/** First one instance of each series, then the others: a whole series may be unreadable. */
function firstOfEach(series: readonly { readonly Instances: readonly string[] }[]): string[] {
  return [
    ...series.flatMap(({ Instances: [first = ''] }) => first),
    ...series.flatMap(({ Instances: [, ...rest] }) => rest),
  ];
}

/** Those of the first instance whose file can be read. */
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
