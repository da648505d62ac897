import { DispatchError } from '@dicom-dispatch/core';
import type {
  CheckContext,
  InstanceBytes,
  RetrieveProblem,
  RetrieveProgress,
  RetrieveRequest,
} from '@dicom-dispatch/target-kit';
import { HttpConnection, statusError, type HttpAnswer } from '../http/index.ts';
import {
  boundaryOf,
  expectInstance,
  malformedName,
  peekSopInstanceUid,
  readParts,
  retrieveInstances,
  RetrieveTally,
} from '../pull/index.ts';
import { countInstances, findSeries } from './find.ts';
import { uidOf } from './dicom-json.ts';
import { searchAll } from './qido.ts';
import { fitsPath, searchIn } from './resource-address.ts';
import type { DicomwebTarget } from './schema.ts';

const lanes = 4;
/** Maximum length of one response: an endless series must not fill a disk. */
const maxRetrieveBytes = 256e9;
const accept = 'multipart/related; type="application/dicom"; transfer-syntax=*';

const noPath = 'its study or series has a UID of dots, with which DICOMweb retrieves nothing';

interface ListedSeries {
  readonly seriesInstanceUid: string;
  readonly path: string;
  /** SOP Instance UIDs of listed instances that are not stored here yet. */
  readonly missing: Set<string>;
  /** None of the listed instances is stored here yet: the series can be retrieved in one request. */
  readonly whole: boolean;
  /** SOP Instance UIDs that the service lists, stored here or not. */
  readonly listed: ReadonlySet<string>;
  /** How many the service counts in addition to the listed ones: they are stored if they arrive with the series. */
  unlisted: number;
}

interface Listing {
  readonly series: readonly ListedSeries[];
  /** Number of instances of the study in addition to those of its listed series. */
  readonly elsewhere: number;
}

/**
 * WADO-RS (PS3.18 section 10.4): a series in one request if none of its instances is stored here yet, or if it has unlisted instances;
 * remaining instances individually; all as they are stored (`transfer-syntax=*`). Instances that the service counts but does not list
 * are stored if they arrive with their series; otherwise they count as failed, because the service may limit its lists.
 */
export async function retrieveStudy(
  request: RetrieveRequest,
  { config, signal }: CheckContext<DicomwebTarget>,
): Promise<RetrieveProgress> {
  const http = await HttpConnection.open(config, { connections: lanes });
  const tally = new RetrieveTally((progress) => request.progress(progress));
  try {
    const { series: listed, elsewhere } = await listMissing(http, config, request, tally, signal);
    const shared = sharedUids(listed);
    for (const series of listed) {
      // Some services cannot find one of several instances with the same UID.
      const isShared = [...series.missing].some((uid) => shared.has(uid));
      const isWorth = series.whole && (series.missing.size > 1 || isShared);
      if (isWorth || series.unlisted > 0) await retrieveSeries(http, series, request, tally, signal);
    }
    const { studyInstanceUid } = request;
    const single = listed.flatMap(({ seriesInstanceUid, path, missing }) =>
      [...missing].map((sopInstanceUid) => ({
        studyInstanceUid,
        seriesInstanceUid,
        sopInstanceUid,
        fetch: (signal: AbortSignal) => fetchInstance(http, `${path}/instances/${sopInstanceUid}`, signal),
      })),
    );
    await retrieveInstances(single, request, { lanes, tally, signal });
    const left = listed.reduce((sum, { unlisted }) => sum + unlisted, elsewhere);
    const reason = 'an instance that the target counts, but does not list or send';
    for (let count = 0; count < left; count += 1) tally.failed({ reason });
    return tally.result;
  } finally {
    await http.close();
  }
}

async function listMissing(
  http: HttpConnection,
  config: DicomwebTarget,
  request: RetrieveRequest,
  tally: RetrieveTally,
  signal: AbortSignal,
): Promise<Listing> {
  const { studyInstanceUid } = request;
  const base = config.qidoUrl ?? config.url;
  const wanted = request.seriesInstanceUids && new Set(request.seriesInstanceUids);
  const study = `/studies/${encodeURIComponent(studyInstanceUid)}`;
  const listed: {
    readonly seriesInstanceUid: string;
    readonly path: string;
    readonly uids: string[];
    readonly unlisted: number;
  }[] = [];
  const odd: RetrieveProblem[] = [];
  let unreachable = 0;
  for (const { seriesInstanceUid, instanceCount = 0 } of await findSeries(
    http,
    { config, studyInstanceUid, filter: {} },
    signal,
  )) {
    if (wanted && !wanted.has(seriesInstanceUid)) continue;
    const path = `${study}/series/${encodeURIComponent(seriesInstanceUid)}`;
    const canRetrieve = fitsPath(studyInstanceUid) && fitsPath(seriesInstanceUid);
    const search = searchIn(base, 'instances', studyInstanceUid, seriesInstanceUid);
    const uids: string[] = [];
    const oddBefore = odd.length;
    try {
      for await (const result of searchAll(http, { ...search, uidTag: '00080018' }, signal)) {
        const text = uidOf(result, '00080018') ?? '';
        // The UID becomes part of a URL and of a file name.
        if (canRetrieve && /^[0-9.]{1,64}$/.test(text) && fitsPath(text)) uids.push(text);
        else odd.push(canRetrieve ? malformedName(text) : { sopInstanceUid: text, reason: noPath });
      }
    } catch (thrown) {
      // A service that reads its files for a list may fail at one of them: then all instances that arrive with the series are stored.
      const isOfSeries = thrown instanceof DispatchError && thrown.disposition === 'retry' && instanceCount > 0;
      if (signal.aborted || !isOfSeries) throw thrown;
    }
    const unlisted = Math.max(0, instanceCount - uids.length - (odd.length - oddBefore));
    if (canRetrieve) listed.push({ seriesInstanceUid, path: `${config.wadoUrl ?? config.url}${path}`, uids, unlisted });
    else unreachable += unlisted;
  }
  const known = listed.reduce((sum, { uids, unlisted }) => sum + uids.length + unlisted, odd.length + unreachable);
  const all = wanted ? undefined : await countInstances(http, { config, studyInstanceUid }, signal);
  const elsewhere = Math.max(0, (all ?? 0) - known);
  tally.total(known + elsewhere);
  for (const problem of odd) tally.failed(problem);
  for (let count = 0; count < unreachable; count += 1) tally.failed({ reason: noPath });
  const series: ListedSeries[] = [];
  for (const { seriesInstanceUid, path, uids, unlisted } of listed) {
    const missing = new Set<string>();
    for (const uid of uids) {
      if (await request.has(uid, seriesInstanceUid)) tally.completed();
      else missing.add(uid);
    }
    const whole = missing.size === uids.length;
    series.push({ seriesInstanceUid, path, missing, whole, listed: new Set(uids), unlisted });
  }
  return { series, elsewhere };
}

/** SOP Instance UIDs that occur in several series. */
function sharedUids(series: readonly ListedSeries[]): ReadonlySet<string> {
  const seen = new Set<string>();
  return new Set(series.flatMap(({ missing }) => [...missing].filter((uid) => seen.has(uid) || !seen.add(uid))));
}

/**
 * Removes arrived instances from `missing`. After a failure of the target the others are requested individually.
 */
async function retrieveSeries(
  http: HttpConnection,
  series: ListedSeries,
  request: RetrieveRequest,
  tally: RetrieveTally,
  signal: AbortSignal,
): Promise<void> {
  const { seriesInstanceUid, path, missing, listed } = series;
  const taken = new Set<string>();
  let storing = false;
  try {
    for await (const part of readParts(...(await ask(http, path, signal)))) {
      const peeked = await peekSopInstanceUid(part.body);
      if (!peeked || taken.has(peeked.sopInstanceUid)) continue;
      const isListed = listed.has(peeked.sopInstanceUid);
      if (isListed ? !missing.has(peeked.sopInstanceUid) : series.unlisted === 0) continue;
      taken.add(peeked.sopInstanceUid);
      if (!isListed && (await request.has(peeked.sopInstanceUid, seriesInstanceUid))) {
        series.unlisted -= 1;
        tally.completed();
        continue;
      }
      const length = Number(part.headers.get('content-length') ?? Number.NaN);
      const sizeBytes = Number.isSafeInteger(length) ? length : undefined;
      const { studyInstanceUid } = request;
      const asked = { studyInstanceUid, seriesInstanceUid, sopInstanceUid: peeked.sopInstanceUid };
      const expected = await expectInstance(asked, { sizeBytes, body: peeked.body });
      const body = ofTarget(expected.body, (inside) => {
        storing = !inside;
      });
      storing = true;
      await request.store(peeked.sopInstanceUid, { sizeBytes, body }, seriesInstanceUid);
      storing = false;
      if (isListed) missing.delete(peeked.sopInstanceUid);
      else series.unlisted -= 1;
      tally.completed();
    }
  } catch (thrown) {
    if (signal.aborted || !(thrown instanceof DispatchError)) throw thrown;
    // An error of the destination ends the retrieval, unless it concerns this instance alone.
    if (storing && thrown.fault !== 'instance') throw thrown;
    if (thrown.disposition === 'wait' || thrown.disposition === 'halt') throw thrown;
  }
}

/** @param path - absolute URL of the instance. The response is closed when its body is read, or no longer needed. */
export async function fetchInstance(http: HttpConnection, path: string, signal: AbortSignal): Promise<InstanceBytes> {
  const parts = readParts(...(await ask(http, path, signal)));
  const { done, value } = await parts.next();
  if (done) throw new DispatchError('target-error', 'the response to a retrieval has no parts');
  const length = Number(value.headers.get('content-length') ?? Number.NaN);
  return { sizeBytes: Number.isSafeInteger(length) ? length : undefined, body: closing(value.body, parts) };
}

async function ask(
  http: HttpConnection,
  path: string,
  signal: AbortSignal,
): Promise<[body: AsyncIterable<Uint8Array>, boundary: string]> {
  const answer: HttpAnswer = await http.request({ method: 'GET', path, headers: { accept }, signal });
  const boundary = boundaryOf(answer.header('content-type'));
  if (answer.status === 200 && boundary !== undefined) return [answer.chunks(maxRetrieveBytes), boundary];
  await answer.discard();
  if (answer.status === 404 || answer.status === 410) {
    throw new DispatchError('target-error', 'the target no longer has the objects that it listed');
  }
  if (answer.status === 200) throw new DispatchError('target-error', 'the response to a retrieval is not multipart');
  throw statusError(answer.status, { what: 'a retrieval', retryAfterMs: answer.retryAfterMs });
}

/** Closes the response after its first part. */
async function* closing(
  body: AsyncIterable<Uint8Array>,
  parts: AsyncGenerator<unknown, void, undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* body;
  } finally {
    await parts.return();
  }
}

/** Distinguishes errors of the body from those of its reader. */
async function* ofTarget(
  body: AsyncIterable<Uint8Array>,
  inside: (isInside: boolean) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  inside(true);
  for await (const chunk of body) {
    inside(false);
    yield chunk;
    inside(true);
  }
  inside(false);
}
