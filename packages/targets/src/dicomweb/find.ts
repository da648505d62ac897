import type { CheckContext, FindQuery, FoundSeries, FoundStudy } from '../contract/index.ts';
import { HttpConnection } from '../http/index.ts';
import { matchesKey, seriesTags, studyTags } from '../pull/index.ts';
import { numberOf, textOf, type JsonDataset } from './dicom-json.ts';
import { searchAll } from './qido.ts';
import type { DicomwebTarget } from './schema.ts';

/** QIDO-RS for studies, then for the series of each (PS3.18 section 10.6). */
export async function* findStudies(
  query: FindQuery,
  { config, signal }: CheckContext<DicomwebTarget>,
): AsyncGenerator<FoundStudy, void, undefined> {
  const http = await HttpConnection.open(config, { connections: 1 });
  const address = `${config.qidoUrl ?? config.url}/studies`;
  const keys = studyKeys(query);
  const include = [studyTags.StudyDescription, studyTags.NumberOfStudyRelatedInstances];
  try {
    for await (const study of searchAll(http, { address, keys, include, uidTag: studyTags.StudyInstanceUID }, signal)) {
      const studyInstanceUid = textOf(study, studyTags.StudyInstanceUID) ?? '';
      const series = await findSeries(http, { config, studyInstanceUid, filter: query.series ?? {} }, signal);
      if (query.series && series.length === 0) continue;
      yield {
        studyInstanceUid,
        instanceCount: numberOf(study, studyTags.NumberOfStudyRelatedInstances),
        tags: named(study, studyTags),
        series,
      };
    }
  } finally {
    await http.close();
  }
}

export interface SeriesQuery {
  readonly config: Pick<DicomwebTarget, 'url' | 'qidoUrl'>;
  readonly studyInstanceUid: string;
  readonly filter: Readonly<Record<string, string>>;
}

export async function findSeries(
  http: HttpConnection,
  { config, studyInstanceUid, filter }: SeriesQuery,
  signal: AbortSignal,
): Promise<FoundSeries[]> {
  const address = `${config.qidoUrl ?? config.url}/studies/${encodeURIComponent(studyInstanceUid)}/series`;
  const include = [...new Set([seriesTags.SeriesDescription, ...Object.keys(filter).map(tagOf)])];
  const found: FoundSeries[] = [];
  const search = { address, keys: filter, include, uidTag: seriesTags.SeriesInstanceUID };
  for await (const series of searchAll(http, search, signal)) {
    // A service may ignore keys that it does not know; what it shows is looked at here as well.
    const fits = Object.entries(filter).every(
      ([keyword, key]) => !(tagOf(keyword) in series) || matchesKey(textOf(series, tagOf(keyword)), key),
    );
    if (!fits) continue;
    found.push({
      seriesInstanceUid: textOf(series, seriesTags.SeriesInstanceUID) ?? '',
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

function tagOf(keyword: string): string {
  return Object.hasOwn(seriesTags, keyword) ? seriesTags[keyword as keyof typeof seriesTags] : keyword;
}

function named(dataset: JsonDataset, tags: Readonly<Record<string, string>>): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [keyword, tag] of Object.entries(tags)) {
    const text = textOf(dataset, tag);
    if (text !== undefined) values[keyword] = text;
  }
  return values;
}
