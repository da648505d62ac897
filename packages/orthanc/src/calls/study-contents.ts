import { z } from 'zod';

import type { CallContext } from '../call-context.ts';
import { target } from '../http/path.ts';
import { parseJson } from '../http/transport.ts';
import type { CallOptions, Transport } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';
import { seriesSchema, studySchema } from '../schema.ts';
import type { Series, Study } from '../schema.ts';
import { readBulk, toListedInstances, type StudyInstance, type WithMetadata } from './study-instances.ts';
import { toStudyTags, type StudyTags } from './study-tags.ts';

/** A study with its main tags and all its instances. */
export interface StudyContents {
  readonly study: StudyTags;
  /** By series, instance number and UID. */
  readonly instances: readonly StudyInstance[];
}

/** Maximum number of studies of one call. */
export const maxStudies = 32;
/** Maximum number of instances of one request. A study with more is left out. */
const maxRequestInstances = 1_000;
/** Maximum number of instances of one call: for studies with many, separate requests cost little more. */
const maxInstances = 2_000;
const maxListBytes = 4 * 1024 * 1024;

/** A study, its series, and the number of its instances according to them. */
interface Listed {
  readonly study: Study;
  readonly series: readonly Series[];
  readonly count: number;
}

/**
 * Several studies in three requests: two for studies and series, then one for up to 1,000 instances. The tags are read before
 * the instances, so that `lastUpdate` is never newer than these.
 *
 * Left out are studies that do not exist, that have changed in between or are listed inconsistently, that have too many
 * instances, or one without SOP class or transfer syntax: to be read separately. All are left out if the server has no
 * `/tools/bulk-content`, or rejects the request because one of them does not exist.
 *
 * @param untilMs - when to stop, by `performance.now()`: studies whose instances were not requested by then are left out
 * @throws OrthancError, also if a proxy rejects the request
 */
export async function readStudyContents(
  context: CallContext,
  studyIds: readonly string[],
  untilMs: number,
  options: CallOptions | undefined,
): Promise<StudyContents[]> {
  const ids = [...new Set(studyIds)].slice(0, maxStudies);
  if (ids.length === 0 || !(await context.features(options)).bulkContent) return [];
  const { transport } = context;
  const lists = await unlessMissing(
    Promise.all([
      readLevel(transport, studySchema, 'Study', ids, options),
      readLevel(transport, seriesSchema, 'Series', ids, options),
    ]),
  );
  if (!lists) return [];
  const read: StudyContents[] = [];
  for (const part of inParts(listedOf(ids, ...lists))) {
    if (performance.now() >= untilMs) break;
    const partIds = part.map(({ study }) => study.ID);
    const found = await unlessMissing(readBulk(transport, partIds, options, maxListBytes));
    if (found) read.push(...contentsOf(part, found));
  }
  return read;
}

async function readLevel<S extends z.ZodType>(
  transport: Transport,
  schema: S,
  level: 'Study' | 'Series',
  ids: readonly string[],
  options: CallOptions | undefined,
): Promise<z.output<S>[]> {
  const request = {
    method: 'POST',
    target: target('/tools/bulk-content'),
    json: { Resources: ids, Level: level, Metadata: false },
    idempotent: true,
    options,
  } as const;
  const limitBytes = Math.min(maxListBytes, transport.options.maxJsonBytes);
  const call = { method: request.method, path: request.target.path };
  return parseJson(z.array(schema), await transport.bytes(request, limitBytes), call);
}

/** @returns undefined if one of the studies does not exist, or if the list is too long: no fault of the server */
async function unlessMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    const isOfOne =
      error instanceof OrthancError &&
      ((error.code === 'not-found' && error.isOrthancAnswer) || (error.code === 'too-large' && error.status !== 413));
    if (!isOfOne) throw error;
    return undefined;
  }
}

/** Studies in the given order whose series are exactly those that the study lists. */
function listedOf(ids: readonly string[], studies: readonly Study[], series: readonly Series[]): Listed[] {
  const byId = new Map(studies.map((study) => [study.ID, study]));
  const byStudy = Map.groupBy(series, ({ ParentStudy: id }) => id);
  return ids.flatMap((id) => {
    const study = byId.get(id);
    const found = byStudy.get(id) ?? [];
    const seriesIds = found.map(({ ID }) => ID);
    if (!study || found.length === 0 || !isSameSet(seriesIds, study.Series)) return [];
    // In the order of the study, as in a response about this study alone.
    const places = new Map(study.Series.map((seriesId, at) => [seriesId, at]));
    const own = found.toSorted((one, other) => (places.get(one.ID) ?? 0) - (places.get(other.ID) ?? 0));
    return { study, series: own, count: own.reduce((sum, { Instances: some }) => sum + some.length, 0) };
  });
}

/** Groups of studies for one request each, without those that are too large. */
function inParts(listed: readonly Listed[]): Listed[][] {
  const parts: Listed[][] = [];
  let size = Number.POSITIVE_INFINITY;
  let total = 0;
  for (const one of listed) {
    if (one.count > maxRequestInstances || total + one.count > maxInstances) continue;
    if (size + one.count > maxRequestInstances) {
      parts.push([]);
      size = 0;
    }
    parts.at(-1)?.push(one);
    size += one.count;
    total += one.count;
  }
  return parts;
}

/** The studies of a part whose instances are exactly those of their series. */
function contentsOf(part: readonly Listed[], found: readonly WithMetadata[]): StudyContents[] {
  const bySeries = Map.groupBy(found, ({ ParentSeries: id }) => id);
  const known = new Set(part.flatMap(({ series }) => series.map(({ ID }) => ID)));
  // A series that has arrived since belongs to one of these studies, and the response does not show to which.
  if ([...bySeries.keys()].some((id) => !known.has(id))) return [];
  return part.flatMap(({ study, series }) => {
    const own = series.flatMap(({ ID }) => bySeries.get(ID) ?? []);
    const listed = series.flatMap(({ ID, Instances: ids }) => ids.map((id) => `${ID} ${id}`));
    const received = own.map(({ ID, ParentSeries: id }) => `${id} ${ID}`);
    if (!isSameSet(received, listed)) return [];
    const uids = new Map(series.map(({ ID, MainDicomTags: tags }) => [ID, tags['SeriesInstanceUID'] ?? '']));
    const instances = toListedInstances(own, uids);
    const isUnknown = instances.some((one) => one.sopClassUid === undefined || one.transferSyntaxUid === undefined);
    return isUnknown ? [] : { study: toStudyTags(study, series), instances };
  });
}

/** Whether both lists have the same ids, each once. */
function isSameSet(some: readonly string[], others: readonly string[]): boolean {
  const ids = new Set(some);
  return some.length === others.length && ids.size === others.length && others.every((id) => ids.has(id));
}
