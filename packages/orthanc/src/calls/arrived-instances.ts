import type { CallContext } from '../call-context.ts';
import { eachBounded } from '../each-bounded.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';
import { seriesSchema } from '../schema.ts';
import { readAlone, readBulk, toStudyInstances, type StudyInstance, type WithMetadata } from './study-instances.ts';

/** Where a series belongs. */
export interface SeriesPlace {
  /** Orthanc's identifier of the study. */
  readonly studyId: string;
  readonly seriesInstanceUid: string;
}

/** An instance with Orthanc's identifier of its study. */
export interface ArrivedInstance extends StudyInstance {
  readonly studyId: string;
}

/** Requests at once where one request cannot do it. */
const concurrency = 4;

/**
 * Instances by Orthanc's identifiers, or all of some series, with their studies; what is gone is left out. One request,
 * and one for each series that is not known yet.
 *
 * @param known - series that were read before; those that are read now are added
 */
export async function readArrivedInstances(
  context: CallContext,
  ids: readonly string[],
  known: Map<string, SeriesPlace>,
  options: CallOptions | undefined,
): Promise<ArrivedInstance[]> {
  const { transport } = context;
  const found = await readAll(context, ids, options);
  const unknown = [...new Set(found.map(({ ParentSeries: id }) => id))].filter((id) => !known.has(id));
  await eachBounded(unknown, concurrency, async (id) => {
    await unlessGone(async () => {
      const series = await transport.json(seriesSchema, {
        method: 'GET',
        target: target(path`/series/${id}`),
        options,
      });
      const seriesInstanceUid = series.MainDicomTags['SeriesInstanceUID'] ?? '';
      known.set(id, { studyId: series.ParentStudy, seriesInstanceUid });
    });
  });
  const placed = found.filter(({ ParentSeries: id }) => known.has(id));
  const uids = new Map(Array.from(known, ([id, { seriesInstanceUid }]) => [id, seriesInstanceUid]));
  const instances = await toStudyInstances(context, placed, uids, options);
  return instances.map((one) => ({ ...one, studyId: known.get(one.seriesId)?.studyId ?? '' }));
}

async function readAll(
  context: CallContext,
  ids: readonly string[],
  options: CallOptions | undefined,
): Promise<WithMetadata[]> {
  const { transport } = context;
  if ((await context.features(options)).bulkContent) {
    try {
      return await readBulk(transport, ids, options);
    } catch (error) {
      // One of them is gone, or a proxy in front lets only GET through.
      if (!(error instanceof OrthancError) || ![403, 404, 405].includes(error.status ?? 0)) throw error;
    }
  }
  const read: WithMetadata[] = [];
  await eachBounded(ids, concurrency, async (id) => {
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
