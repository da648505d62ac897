import type { CallContext } from '../call-context.ts';
import { eachBounded } from '../each-bounded.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';
import { seriesSchema } from '../schema.ts';
import { readAlone, readBulk, toStudyInstances, type StudyInstance, type WithMetadata } from './study-instances.ts';

/** The parents of a series. */
export interface SeriesPlace {
  /** Orthanc's identifier of the study. */
  readonly studyId: string;
  readonly seriesInstanceUid: string;
}

/** An instance with Orthanc's identifier of its study. */
export interface ArrivedInstance extends StudyInstance {
  readonly studyId: string;
}

/** What has arrived: instances, or series with all their instances. */
export type ArrivedLevel = 'instances' | 'series';

/** Parallel requests if one request is not sufficient. */
const concurrency = 4;

/**
 * Instances by Orthanc ids, or all of some series, with their studies; deleted ones are omitted. One request, and one for each
 * series that is not known yet. Without `/tools/bulk-content`, or if one was deleted, each instance is requested individually.
 *
 * @param known - series that were read before; new ones are added
 */
export async function readArrivedInstances(
  context: CallContext,
  level: ArrivedLevel,
  ids: readonly string[],
  known: Map<string, SeriesPlace>,
  options: CallOptions | undefined,
): Promise<ArrivedInstance[]> {
  const found = await readAll(context, level, ids, known, options);
  const unknown = [...new Set(found.map(({ ParentSeries: id }) => id))].filter((id) => !known.has(id));
  await readSeries(context, unknown, known, options);
  const placed = found.filter(({ ParentSeries: id }) => known.has(id));
  const uids = new Map(Array.from(known, ([id, { seriesInstanceUid }]) => [id, seriesInstanceUid]));
  const instances = await toStudyInstances(context, placed, uids, options);
  return instances.map((one) => ({ ...one, studyId: known.get(one.seriesId)?.studyId ?? '' }));
}

/** @returns Orthanc ids of the instances of these series; none for a deleted series */
async function readSeries(
  { transport }: CallContext,
  ids: readonly string[],
  known: Map<string, SeriesPlace>,
  options: CallOptions | undefined,
): Promise<string[]> {
  const instances: string[] = [];
  await eachBounded(ids, concurrency, async (id) => {
    await unlessGone(async () => {
      const series = await transport.json(seriesSchema, {
        method: 'GET',
        target: target(path`/series/${id}`),
        options,
      });
      const seriesInstanceUid = series.MainDicomTags['SeriesInstanceUID'] ?? '';
      known.set(id, { studyId: series.ParentStudy, seriesInstanceUid });
      for (const one of series.Instances) instances.push(one);
    });
  });
  return instances;
}

async function readAll(
  context: CallContext,
  level: ArrivedLevel,
  ids: readonly string[],
  known: Map<string, SeriesPlace>,
  options: CallOptions | undefined,
): Promise<WithMetadata[]> {
  const { transport } = context;
  if ((await context.features(options)).bulkContent) {
    try {
      return await readBulk(transport, ids, options);
    } catch (error) {
      // One of them was deleted, or a proxy only allows GET.
      if (!(error instanceof OrthancError) || ![403, 404, 405].includes(error.status ?? 0)) throw error;
    }
  }
  const instances = level === 'series' ? await readSeries(context, ids, known, options) : ids;
  const read: WithMetadata[] = [];
  await eachBounded(instances, concurrency, async (id) => {
    await unlessGone(async () => void read.push(await readAlone(transport, id, options)));
  });
  return read;
}

async function unlessGone(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof OrthancError) || error.code !== 'not-found') throw error;
  }
}
