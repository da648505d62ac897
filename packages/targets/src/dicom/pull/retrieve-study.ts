import type { DispatchError } from '@dicom-dispatch/core';
import type { CheckContext, RetrieveProgress, RetrieveRequest } from '@dicom-dispatch/target-kit';
import { cancelledError } from '@dicom-dispatch/target-kit/flow';
import { malformedName, RetrieveTally } from '../../pull/index.ts';
import type { AnyDicomTarget } from '../schema.ts';
import { listedKey, listInstances, type Gap, type ListedInstance, type Listing } from './list-instances.ts';
import { planOne, planRetrieval } from './plan-retrieval.ts';
import { openForFind } from './query-association.ts';
import { Receiving } from './receiving.ts';
import { openRetriever, type Retriever } from './retriever.ts';

/** After this number of consecutive failures of individual requests, the rest is not requested. */
const maxFailuresInRow = 20;

/**
 * Lists the instances, then retrieves missing ones: complete series or lists of instances (`planRetrieval`), then the remaining ones
 * individually. Instances that the receiver counts but does not list are stored if they arrive with others; otherwise they count as
 * failed, so that an incomplete study is never treated as complete.
 */
export async function retrieveStudy(
  request: RetrieveRequest,
  context: CheckContext<AnyDicomTarget>,
): Promise<RetrieveProgress> {
  const listing = await list(request, context);
  const tally = new RetrieveTally((progress) => request.progress(progress));
  const unlisted = unlistedIn(listing.gaps);
  const isUncertain = unlisted === Number.POSITIVE_INFINITY;
  tally.total(listing.instances.length + listing.malformed.length + (isUncertain ? 1 : unlisted));
  for (const uid of listing.malformed) tally.failed(malformedName(uid));
  const missing: ListedInstance[] = [];
  const present: string[] = [];
  for (const instance of listing.instances) {
    const { sopInstanceUid, seriesInstanceUid } = instance;
    if (!(request.canKeep?.(sopInstanceUid) ?? true)) tally.failed(malformedName(sopInstanceUid));
    else if (!(await request.has(sopInstanceUid, seriesInstanceUid))) missing.push(instance);
    else {
      present.push(listedKey(instance));
      tally.completed();
    }
  }
  if (missing.length === 0 && unlisted === 0) return tally.result;

  const receiving = new Receiving(request, tally, { missing, present, unlisted });
  const signal = AbortSignal.any([context.signal, receiving.failed]);
  const retriever = await openRetriever({ ...context, signal }, receiving);
  try {
    for (const one of planRetrieval(request.studyInstanceUid, listing, missing)) await retriever.retrieve(one);
    retriever.check();
    await oneByOne(request.studyInstanceUid, listing, missing, receiving, retriever);
  } catch (error) {
    if (receiving.failed.aborted) throw receiving.failed.reason as DispatchError;
    if (context.signal.aborted) throw cancelledError(context.signal);
    throw error;
  } finally {
    await retriever.close();
  }
  for (const { sopInstanceUid, sopClassUid } of receiving.missing.values()) {
    const reason = receiving.whyRefused(sopInstanceUid) ?? retriever.whyNot(sopClassUid);
    tally.failed({ sopInstanceUid, reason });
  }
  if (isUncertain) {
    tally.failed({ reason: 'the receiver ended its list early, and does not report the number of instances' });
  } else {
    const reason = 'an instance that the receiver counts, but does not list or send';
    for (let left = receiving.unlisted; left > 0; left -= 1) tally.failed({ reason });
  }
  return tally.result;
}

async function list(request: RetrieveRequest, context: CheckContext<AnyDicomTarget>): Promise<Listing> {
  const association = await openForFind(context);
  try {
    return await listInstances(association, request, context.signal);
  } finally {
    if (context.signal.aborted) association.abort();
    await association.release();
  }
}

/** How many unlisted instances may arrive; infinite if the receiver does not report the number. */
function unlistedIn(gaps: readonly Gap[]): number {
  return gaps.reduce((sum, { count = Number.POSITIVE_INFINITY }) => sum + count, 0);
}

async function oneByOne(
  studyInstanceUid: string,
  listing: Listing,
  asked: readonly ListedInstance[],
  { missing }: Receiving,
  retriever: Retriever,
): Promise<void> {
  let failedInRow = 0;
  for (const one of asked) {
    if (!missing.has(listedKey(one))) continue;
    if (failedInRow >= maxFailuresInRow) return;
    await retriever.retrieve(planOne(studyInstanceUid, listing, one));
    failedInRow = missing.has(listedKey(one)) ? failedInRow + 1 : 0;
  }
}
