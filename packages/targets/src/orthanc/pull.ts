import { DispatchError } from '@dicom-dispatch/core';
import { z } from 'zod';
import type { CheckContext, FindQuery, FoundSeries, FoundStudy, Puller, RetrieveRequest } from '../contract/index.ts';
import { HttpConnection } from '../http/index.ts';
import { retrieveInstances, RetrieveTally, type RemoteInstance } from '../pull/index.ts';
import { orthancError } from './errors.ts';
import type { OrthancTarget } from './schema.ts';

const tags = z.record(z.string(), z.string());
const foundStudies = z.array(z.object({ ID: z.string(), MainDicomTags: tags, PatientMainDicomTags: tags }));
const foundSeries = z.array(z.object({ ID: z.string(), MainDicomTags: tags, Instances: z.array(z.string()) }));
const seriesInstances = z.array(z.object({ ID: z.string(), MainDicomTags: tags }));

const studiesAtOnce = 100;
const maxAnswerBytes = 256_000_000;
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
        foundStudies,
        context.signal,
      );
      for (const study of page) {
        const found = await describe(http, study, query, context.signal);
        if (found) yield found;
      }
      if (page.length < studiesAtOnce) return;
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
    const all = await listInstances(http, request, signal);
    tally.total(all.length);
    const missing: RemoteInstance[] = [];
    for (const instance of all) {
      if (await request.has(instance.sopInstanceUid)) tally.completed();
      else missing.push(instance);
    }
    await retrieveInstances(missing, request, { lanes, tally, signal });
    return tally.progress;
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

/** Undefined when no series of the study matches. */
async function describe(
  http: HttpConnection,
  study: z.output<typeof foundStudies>[number],
  query: FindQuery,
  signal: AbortSignal,
): Promise<FoundStudy | undefined> {
  const studyInstanceUid = study.MainDicomTags['StudyInstanceUID'] ?? '';
  const keys = { StudyInstanceUID: studyInstanceUid };
  const matching = await findResources(
    http,
    { Level: 'Series', Query: { ...query.series, ...keys } },
    foundSeries,
    signal,
  );
  if (matching.length === 0) return undefined;
  const all = query.series
    ? await findResources(http, { Level: 'Series', Query: keys }, foundSeries, signal)
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

async function listInstances(
  http: HttpConnection,
  { studyInstanceUid, seriesInstanceUids }: RetrieveRequest,
  signal: AbortSignal,
): Promise<RemoteInstance[]> {
  const wanted = seriesInstanceUids && new Set(seriesInstanceUids);
  const query = { Level: 'Series', Query: { StudyInstanceUID: studyInstanceUid } };
  const listed: RemoteInstance[] = [];
  for (const series of await findResources(http, query, foundSeries, signal)) {
    if (wanted && !wanted.has(series.MainDicomTags['SeriesInstanceUID'] ?? '')) continue;
    const path = `/series/${encodeURIComponent(series.ID)}/instances`;
    const answer = await http.request({ method: 'GET', path, signal });
    if (answer.status !== 200) throw await orthancError(answer, 'the listing of a series');
    for (const { ID: id, MainDicomTags: tags } of parsed(seriesInstances, await answer.json(maxAnswerBytes))) {
      const sopInstanceUid = tags['SOPInstanceUID'];
      if (sopInstanceUid === undefined) continue;
      listed.push({ sopInstanceUid, fetch: (signal) => fetchFile(http, id, signal) });
    }
  }
  return listed;
}

async function fetchFile(http: HttpConnection, id: string, signal: AbortSignal) {
  const answer = await http.request({ method: 'GET', path: `/instances/${encodeURIComponent(id)}/file`, signal });
  if (answer.status === 404) {
    await answer.discard();
    throw new DispatchError('target-error', 'the target no longer has an instance that it listed');
  }
  if (answer.status !== 200) throw await orthancError(answer, 'the download');
  const length = Number(answer.header('content-length'));
  return { sizeBytes: Number.isSafeInteger(length) ? length : undefined, body: answer.chunks() };
}

async function findResources<T>(
  http: HttpConnection,
  query: Readonly<Record<string, unknown>>,
  schema: z.ZodType<T>,
  signal: AbortSignal,
): Promise<T> {
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

function parsed<T>(schema: z.ZodType<T>, json: unknown): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  throw new DispatchError('target-error', 'an answer of the target is not as Orthanc gives it');
}
