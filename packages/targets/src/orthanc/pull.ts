import { DispatchError } from '@dicom-dispatch/core';
import { isResourceId } from '@dicom-dispatch/orthanc';
import { z } from 'zod';
import type {
  CheckContext,
  FindQuery,
  FoundSeries,
  FoundStudy,
  Puller,
  RetrieveRequest,
} from '@dicom-dispatch/target-kit';
import { HttpConnection, maxInstanceBytes } from '../http/index.ts';
import { listedTwice, retrieveInstances, RetrieveTally, type RemoteInstance } from '../pull/index.ts';
import { orthancError } from './errors.ts';
import type { OrthancTarget } from './schema.ts';

/** Main tags by keyword. Sequences, which newer versions have among them, and other values that are not text are omitted. */
const tags = z
  .record(z.string(), z.unknown())
  .catch({})
  .transform((all) => {
    const texts = Object.entries(all).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
    return Object.fromEntries(texts);
  });
const id = z.string().refine(isResourceId);
const foundStudy = z.object({ ID: id, MainDicomTags: tags, PatientMainDicomTags: tags });
const foundSeries = z.object({ ID: id, MainDicomTags: tags, Instances: z.array(z.unknown()) });
export const foundInstance = z.object({
  ID: id,
  MainDicomTags: tags,
  FileSize: z.number().int().optional().catch(undefined),
});

const studiesAtOnce = 100;
const maxAnswerBytes = 64_000_000;
const lanes = 4;

/** Find by `/tools/find`, retrieve by `/instances/{id}/file`. */
export const orthancPuller: Puller<OrthancTarget> = { find, retrieve };

async function* find(query: FindQuery, context: CheckContext<OrthancTarget>): AsyncGenerator<FoundStudy> {
  const http = await HttpConnection.open(context.config, { connections: 1 });
  try {
    for (let since = 0; ; since += studiesAtOnce) {
      const page = await findResources(
        http,
        { Level: 'Study', Query: studyKeys(query), Limit: studiesAtOnce, Since: since },
        foundStudy,
        context.signal,
      );
      for (const study of page.all) {
        const found = await describe(http, study, query, context.signal);
        if (found) yield found;
      }
      if (page.count < studiesAtOnce) return;
    }
  } finally {
    await http.close();
  }
}

async function retrieve(request: RetrieveRequest, context: CheckContext<OrthancTarget>) {
  const { config, signal } = context;
  const http = await HttpConnection.open(config, { connections: lanes });
  const tally = new RetrieveTally((progress) => request.progress(progress));
  try {
    const { all, unknown } = await listInstances(http, request, signal);
    tally.total(all.length + unknown);
    for (let count = 0; count < unknown; count += 1)
      tally.failed({ reason: 'an instance whose SOP Instance UID the target does not report' });
    const missing: RemoteInstance[] = [];
    const seen = new Set<string>();
    for (const instance of all) {
      const { sopInstanceUid, seriesInstanceUid } = instance;
      const name = `${seriesInstanceUid} ${sopInstanceUid}`;
      // Two patients may have studies with one Study Instance UID.
      if (seen.has(name)) tally.failed(listedTwice(sopInstanceUid));
      else if (await request.has(sopInstanceUid, seriesInstanceUid)) tally.completed();
      else missing.push(instance);
      seen.add(name);
    }
    await retrieveInstances(missing, request, { lanes, tally, signal });
    return tally.result;
  } finally {
    await http.close();
  }
}

function studyKeys(query: FindQuery): Record<string, string> {
  return {
    ...(query.accessionNumber !== undefined && { AccessionNumber: query.accessionNumber }),
    ...(query.patientId !== undefined && { PatientID: query.patientId }),
    ...(query.studyInstanceUid !== undefined && { StudyInstanceUID: query.studyInstanceUid }),
    ...(query.studyDate !== undefined && { StudyDate: query.studyDate }),
  };
}

/** @returns undefined if no series of the study matches, or the study has no UID */
async function describe(
  http: HttpConnection,
  study: z.output<typeof foundStudy>,
  query: FindQuery,
  signal: AbortSignal,
): Promise<FoundStudy | undefined> {
  const studyInstanceUid = study.MainDicomTags['StudyInstanceUID'];
  // Without its UID the study can neither be queried nor retrieved.
  if (studyInstanceUid === undefined) return undefined;
  const keys = { StudyInstanceUID: studyInstanceUid };
  const { all: matching } = await findResources(
    http,
    { Level: 'Series', Query: { ...query.series, ...keys } },
    foundSeries,
    signal,
  );
  if (matching.length === 0) return undefined;
  const all = query.series
    ? (await findResources(http, { Level: 'Series', Query: keys }, foundSeries, signal)).all
    : matching;
  return {
    studyInstanceUid,
    instanceCount: all.reduce((sum, { Instances: { length } }) => sum + length, 0),
    tags: { ...study.PatientMainDicomTags, ...study.MainDicomTags },
    series: matching.map(({ MainDicomTags: tags, Instances: instances }): FoundSeries => ({
      seriesInstanceUid: tags['SeriesInstanceUID'] ?? '',
      instanceCount: instances.length,
      tags,
    })),
  };
}

/** @returns `unknown` is the number of instances that the target lists without a valid id or without a SOP Instance UID */
async function listInstances(
  http: HttpConnection,
  { studyInstanceUid, seriesInstanceUids }: RetrieveRequest,
  signal: AbortSignal,
): Promise<{ readonly all: readonly RemoteInstance[]; readonly unknown: number }> {
  const wanted = seriesInstanceUids && new Set(seriesInstanceUids);
  const query = { Level: 'Series', Query: { StudyInstanceUID: studyInstanceUid } };
  const all: RemoteInstance[] = [];
  let unknown = 0;
  for (const series of (await findResources(http, query, foundSeries, signal)).all) {
    const seriesInstanceUid = series.MainDicomTags['SeriesInstanceUID'];
    if (wanted && !wanted.has(seriesInstanceUid ?? '')) continue;
    const path = `/series/${series.ID}/instances`;
    const answer = await http.request({ method: 'GET', path, signal });
    if (answer.status !== 200) throw await orthancError(answer, 'the listing of a series');
    const listed = parsed(foundInstance, await answer.json(maxAnswerBytes));
    unknown += listed.count - listed.all.length;
    for (const { ID: id, MainDicomTags: tags, FileSize: sizeBytes } of listed.all) {
      const sopInstanceUid = tags['SOPInstanceUID'];
      if (sopInstanceUid === undefined) unknown += 1;
      else {
        const fetch = (signal: AbortSignal) => fetchFile(http, id, sizeBytes, signal);
        all.push({ studyInstanceUid, seriesInstanceUid, sopInstanceUid, fetch });
      }
    }
  }
  return { all, unknown };
}

/** Downloads the file of an instance. @param sizeBytes - as listed; default: the Content-Length of the response */
export async function fetchFile(http: HttpConnection, id: string, sizeBytes: number | undefined, signal: AbortSignal) {
  const answer = await http.request({ method: 'GET', path: `/instances/${id}/file`, signal });
  if (answer.status === 404) {
    await answer.discard();
    throw new DispatchError('target-error', 'the target no longer has an instance that it listed');
  }
  if (answer.status !== 200) throw await orthancError(answer, 'the download');
  const length = Number(answer.header('content-length') ?? Number.NaN);
  const announced = Number.isSafeInteger(length) ? length : undefined;
  return { sizeBytes: sizeBytes ?? announced, body: answer.chunks(maxInstanceBytes) };
}

/** `POST /tools/find`, case-sensitive. @throws {DispatchError} also if results exist, but none of them is valid */
export async function findResources<T>(
  http: HttpConnection,
  query: Readonly<Record<string, unknown>>,
  schema: z.ZodType<T>,
  signal: AbortSignal,
): Promise<Parsed<T>> {
  const answer = await http.request({
    method: 'POST',
    path: '/tools/find',
    headers: { 'content-type': 'application/json' },
    body: () => JSON.stringify({ ...query, Expand: true, CaseSensitive: true }),
    repeat: true,
    signal,
  });
  if (answer.status !== 200) throw await orthancError(answer, 'the search');
  return parsed(schema, await answer.json(maxAnswerBytes));
}

interface Parsed<T> {
  readonly all: readonly T[];
  /** Number of all entries, including invalid ones. */
  readonly count: number;
}

/** The valid entries of a list: an invalid one must not hide the others. @throws {DispatchError} if all are invalid */
function parsed<T>(schema: z.ZodType<T>, json: unknown): Parsed<T> {
  if (!Array.isArray(json)) {
    throw new DispatchError('target-error', 'a response of the target is not a valid Orthanc response');
  }
  const all = json.flatMap((one) => {
    const result = schema.safeParse(one);
    return result.success ? [result.data] : [];
  });
  if (all.length > 0 || json.length === 0) return { all, count: json.length };
  throw new DispatchError('target-error', 'no response of the target is a valid Orthanc response');
}
