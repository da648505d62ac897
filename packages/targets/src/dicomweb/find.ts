import { DispatchError } from '@dicom-dispatch/core';
import type { CheckContext, FindQuery, FoundSeries, FoundStudy } from '@dicom-dispatch/target-kit';
import { HttpConnection } from '../http/index.ts';
import { matchesKey, maxDoubts, seriesNotListed, seriesTags, studyTags } from '../pull/index.ts';
import { numberOf, textOf, uidOf, type JsonDataset } from './dicom-json.ts';
import { searchAll, searchPage } from './qido.ts';
import { searchIn } from './resource-address.ts';
import type { DicomwebTarget } from './schema.ts';

/**
 * QIDO-RS for studies, then for the series of each (PS3.18 section 10.6). If the target cannot list the series of a study, the search
 * continues with the next study.
 *
 * @throws DispatchError `target-error` after the last study if there may be more, or if series of a study are missing
 */
export async function* findStudies(
  query: FindQuery,
  { config, signal }: CheckContext<DicomwebTarget>,
): AsyncGenerator<FoundStudy, void, undefined> {
  const http = await HttpConnection.open(config, { connections: 1 });
  const address = `${config.qidoUrl ?? config.url}/studies`;
  const keys = studyKeys(query);
  const include = [studyTags.StudyDescription, studyTags.NumberOfStudyRelatedInstances];
  const search = { address, keys, include, uidTag: studyTags.StudyInstanceUID };
  let count = 0;
  const doubts: string[] = [];
  try {
    for await (const study of searchAll(http, search, signal, {
      onCut: () => void doubts.push('the target has more'),
    })) {
      count += 1;
      const studyInstanceUid = uidOf(study, studyTags.StudyInstanceUID) ?? '';
      let series: FoundSeries[] = [];
      try {
        series = await findSeries(http, { config, studyInstanceUid, filter: query.series ?? {} }, signal);
      } catch (thrown) {
        if (signal.aborted || !isOfStudy(thrown) || doubts.length >= maxDoubts) throw thrown;
        doubts.push(seriesNotListed(studyInstanceUid, thrown));
      }
      if (query.series && series.length === 0) continue;
      yield {
        studyInstanceUid,
        instanceCount: numberOf(study, studyTags.NumberOfStudyRelatedInstances),
        tags: named(study, studyTags),
        series,
      };
    }
    const [doubt] = doubts;
    if (doubt !== undefined) throw notComplete(count, doubt);
  } finally {
    await http.close();
  }
}

/** Whether an error concerns the queried study alone, and not the target as a whole. */
function isOfStudy(thrown: unknown): thrown is DispatchError {
  return thrown instanceof DispatchError && (thrown.code === 'target-error' || thrown.code === 'target-misconfigured');
}

function notComplete(count: number, doubt: string): DispatchError {
  const message = `the response is incomplete, ${count} studies were received: ${doubt}`;
  return new DispatchError('target-error', message, {
    remedy: 'Narrow the search, raise the limit of results at the target, or check there the study that is named.',
  });
}

export interface SeriesQuery {
  readonly config: Pick<DicomwebTarget, 'url' | 'qidoUrl'>;
  readonly studyInstanceUid: string;
  readonly filter: Readonly<Record<string, string>>;
}

/** Number of instances of a study, as reported by the target; undefined if it does not report it. */
export async function countInstances(
  http: HttpConnection,
  { config, studyInstanceUid }: Omit<SeriesQuery, 'filter'>,
  signal: AbortSignal,
): Promise<number | undefined> {
  const search = {
    address: `${config.qidoUrl ?? config.url}/studies`,
    keys: { StudyInstanceUID: studyInstanceUid },
    include: [studyTags.NumberOfStudyRelatedInstances],
    uidTag: studyTags.StudyInstanceUID,
  };
  const found = await searchPage(http, search, { limit: 2, offset: 0 }, signal);
  const study = found.find((one) => uidOf(one, studyTags.StudyInstanceUID) === studyInstanceUid);
  return study && numberOf(study, studyTags.NumberOfStudyRelatedInstances);
}

export async function findSeries(
  http: HttpConnection,
  { config, studyInstanceUid, filter }: SeriesQuery,
  signal: AbortSignal,
): Promise<FoundSeries[]> {
  const { address, keys } = searchIn(config.qidoUrl ?? config.url, 'series', studyInstanceUid);
  const wanted = new Map<string, string>();
  for (const [keyword, key] of Object.entries(filter)) wanted.set(await tagOf(keyword), key);
  const include = [...new Set([seriesTags.SeriesDescription, ...wanted.keys()])];
  const found: FoundSeries[] = [];
  const search = { address, keys: { ...keys, ...filter }, include, uidTag: seriesTags.SeriesInstanceUID };
  for await (const series of searchAll(http, search, signal)) {
    // A service may ignore unknown keys: its results are compared here again. A requested attribute that is not returned does not exist
    // (PS3.18 section 10.6.3.3.3).
    const fits = [...wanted].every(([tag, key]) => matchesKey(textOf(series, tag), key));
    if (!fits) continue;
    found.push({
      seriesInstanceUid: uidOf(series, seriesTags.SeriesInstanceUID) ?? '',
      instanceCount: numberOf(series, seriesTags.NumberOfSeriesRelatedInstances),
      tags: named(series, seriesTags),
    });
  }
  return found;
}

function studyKeys(query: FindQuery): Record<string, string> {
  return {
    ...(query.accessionNumber !== undefined && { AccessionNumber: query.accessionNumber }),
    ...(query.patientId !== undefined && { PatientID: query.patientId }),
    ...(query.studyInstanceUid !== undefined && { StudyInstanceUID: query.studyInstanceUid }),
    ...(query.studyDate !== undefined && { StudyDate: query.studyDate }),
  };
}

async function tagOf(keyword: string): Promise<string> {
  if (Object.hasOwn(seriesTags, keyword)) return seriesTags[keyword as keyof typeof seriesTags];
  // The complete PS3.6 is loaded only if needed.
  const { findElement } = await import('dicom-dimse/dataset');
  const tag = findElement(keyword)?.tag;
  if (tag !== undefined) return tag.toUpperCase();
  throw new DispatchError('config-invalid', `series cannot be searched by ${keyword}`, {
    stage: 'resolve',
    remedy: 'Use a DICOM keyword, such as Modality or SeriesDescription.',
  });
}

function named(dataset: JsonDataset, tags: Readonly<Record<string, string>>): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [keyword, tag] of Object.entries(tags)) {
    const text = textOf(dataset, tag);
    if (text !== undefined) values[keyword] = text;
  }
  return values;
}
