import type { DispatchError } from '@dicom-dispatch/core';
import type { CheckContext, RetrieveProgress, RetrieveRequest } from '../../contract/index.ts';
import { cancelledError } from '../../flow/index.ts';
import { RetrieveTally } from '../../pull/index.ts';
import type { AnyDicomTarget } from '../schema.ts';
import { atLevel } from './find-studies.ts';
import { listInstances, type ListedInstance } from './list-instances.ts';
import { openForFind } from './query-association.ts';
import { Receiving } from './receiving.ts';
import { openRetriever, type Retriever } from './retriever.ts';

/** UIDs in one identifier (List of UID Matching, PS3.4 section C.2.2.2.2). */
const instancesPerRequest = 50;
/** After so many instances in a row that did not come alone either, the rest is not asked for. */
const mostFailuresInRow = 20;

/**
 * Lists the instances, then retrieves what is missing: whole series where nothing of them is here, else instances by
 * list, and what did not come so one by one.
 */
export async function retrieveStudy(
  request: RetrieveRequest,
  context: CheckContext<AnyDicomTarget>,
): Promise<RetrieveProgress> {
  const listed = await list(request, context);
  const tally = new RetrieveTally((progress) => request.progress(progress));
  tally.total(listed.length);
  const missing: ListedInstance[] = [];
  for (const instance of listed) {
    if (await request.has(instance.sopInstanceUid)) tally.completed();
    else missing.push(instance);
  }
  if (missing.length === 0) return tally.progress;

  const receiving = new Receiving(
    request,
    tally,
    missing.map(({ sopInstanceUid }) => sopInstanceUid),
  );
  const signal = AbortSignal.any([context.signal, receiving.failed]);
  const retriever = await openRetriever({ ...context, signal }, missing, receiving);
  try {
    for (const identifier of together(request.studyInstanceUid, listed, missing)) {
      await retriever.retrieve(identifier);
    }
    await oneByOne(request.studyInstanceUid, missing, receiving, retriever);
  } catch (error) {
    if (receiving.failed.aborted) throw receiving.failed.reason as DispatchError;
    if (context.signal.aborted) throw cancelledError(context.signal);
    throw error;
  } finally {
    await retriever.close();
  }
  for (const _ of receiving.missing) tally.failed();
  return tally.progress;
}

async function list(request: RetrieveRequest, context: CheckContext<AnyDicomTarget>): Promise<ListedInstance[]> {
  const association = await openForFind(context);
  try {
    return await listInstances(association, request, context.signal);
  } finally {
    if (context.signal.aborted) association.abort();
    await association.release();
  }
}

function* together(
  studyInstanceUid: string,
  listed: readonly ListedInstance[],
  missing: readonly ListedInstance[],
): Generator<Record<string, unknown>> {
  const inSeries = Map.groupBy(listed, (one) => one.seriesInstanceUid);
  for (const [seriesInstanceUid, some] of Map.groupBy(missing, (one) => one.seriesInstanceUid)) {
    const series = { StudyInstanceUID: studyInstanceUid, SeriesInstanceUID: seriesInstanceUid };
    if (some.length === inSeries.get(seriesInstanceUid)?.length) {
      yield { ...atLevel('SERIES'), ...series };
      continue;
    }
    for (let at = 0; at < some.length; at += instancesPerRequest) {
      const part = some.slice(at, at + instancesPerRequest).map(({ sopInstanceUid }) => sopInstanceUid);
      yield { ...atLevel('IMAGE'), ...series, SOPInstanceUID: part };
    }
  }
}

async function oneByOne(
  studyInstanceUid: string,
  asked: readonly ListedInstance[],
  { missing }: Receiving,
  retriever: Retriever,
): Promise<void> {
  let failedInRow = 0;
  for (const { sopInstanceUid, seriesInstanceUid } of asked) {
    if (!missing.has(sopInstanceUid)) continue;
    if (failedInRow >= mostFailuresInRow) return;
    await retriever.retrieve({
      ...atLevel('IMAGE'),
      StudyInstanceUID: studyInstanceUid,
      SeriesInstanceUID: seriesInstanceUid,
      SOPInstanceUID: sopInstanceUid,
    });
    failedInRow = missing.has(sopInstanceUid) ? failedInRow + 1 : 0;
  }
}
