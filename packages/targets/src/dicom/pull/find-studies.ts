import { DispatchError } from '@dicom-dispatch/core';
import { UID, type Association } from 'dicom-dimse';
import { findDataSets, type DataSet } from 'dicom-dimse/dataset';
import type { CheckContext, FindQuery, FoundSeries, FoundStudy } from '../../contract/index.ts';
import { cancelledError, until } from '../../flow/index.ts';
import { matchesKey, seriesTags, studyTags } from '../../pull/index.ts';
import { dicomError } from '../errors.ts';
import type { AnyDicomTarget } from '../schema.ts';
import { openForFind } from './query-association.ts';
import { countOf, textOf, textsOf } from './texts.ts';

/** More matches of one query are a query that is too wide. */
const mostMatches = 100_000;

/** C-FIND for studies, then for the series of each (Study Root, PS3.4 section C.6.2). */
export async function* findStudies(
  query: FindQuery,
  context: CheckContext<AnyDicomTarget>,
): AsyncGenerator<FoundStudy, void, undefined> {
  const { signal } = context;
  for (const keyword of Object.keys(query.series ?? {})) checkKeyword(keyword);
  const association = await openForFind(context);
  try {
    const studies = await findAll(
      association,
      { ...empty(studyTags), ...studyKeys(query), ...atLevel('STUDY') },
      signal,
    );
    for (const study of studies) {
      const studyInstanceUid = textOf(study['StudyInstanceUID']) ?? '';
      const series = await findSeries(association, studyInstanceUid, query.series ?? {}, signal);
      if (query.series && series.length === 0) continue;
      yield {
        studyInstanceUid,
        instanceCount: countOf(study['NumberOfStudyRelatedInstances']),
        tags: textsOf(study, Object.keys(studyTags)),
        series,
      };
    }
  } finally {
    if (signal.aborted) association.abort();
    await association.release();
  }
}

export async function findSeries(
  association: Association,
  studyInstanceUid: string,
  filter: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<FoundSeries[]> {
  const query = {
    ...empty(seriesTags),
    ...filter,
    ...atLevel('SERIES'),
    StudyInstanceUID: studyInstanceUid,
  };
  const found: FoundSeries[] = [];
  for (const series of await findAll(association, query, signal)) {
    // A receiver may ignore keys that it does not know; what it shows is looked at here as well.
    const fits = Object.entries(filter).every(
      ([keyword, key]) => !(keyword in series) || matchesKey(textOf(series[keyword]), key),
    );
    if (!fits) continue;
    found.push({
      seriesInstanceUid: textOf(series['SeriesInstanceUID']) ?? '',
      instanceCount: countOf(series['NumberOfSeriesRelatedInstances']),
      tags: textsOf(series, Object.keys(seriesTags)),
    });
  }
  return found;
}

/**
 * All matches of a query. They are gathered before they are used: the next query on this association has to wait for
 * the last of them anyway.
 */
export async function findAll(association: Association, query: DataSet, signal: AbortSignal): Promise<DataSet[]> {
  const found: DataSet[] = [];
  const gather = async (): Promise<void> => {
    for await (const match of findDataSets(association, { sopClassUid: UID.studyRootFind, query, signal })) {
      found.push(match);
      if (found.length <= mostMatches) continue;
      throw new DispatchError('target-error', `more than ${mostMatches} matches: ask for less`, { stage: 'transfer' });
    }
  };
  try {
    await until(gather(), signal);
    return found;
  } catch (error) {
    if (signal.aborted) throw cancelledError(signal);
    throw dicomError(error, 'transfer');
  }
}

export function atLevel(level: 'STUDY' | 'SERIES' | 'IMAGE'): { QueryRetrieveLevel: string } {
  return { QueryRetrieveLevel: level };
}

function studyKeys(query: FindQuery): Record<string, string> {
  return {
    ...(query.accessionNumber !== undefined && { AccessionNumber: query.accessionNumber }),
    ...(query.patientId !== undefined && { PatientID: query.patientId }),
    ...(query.studyInstanceUid !== undefined && { StudyInstanceUID: query.studyInstanceUid }),
    ...(query.studyDate !== undefined && { StudyDate: query.studyDate }),
  };
}

/** What is no key of a query would be left out of it, and everything found. */
function checkKeyword(keyword: string): void {
  if (Object.hasOwn(seriesTags, keyword)) return;
  throw new DispatchError('config-invalid', `series cannot be searched by ${keyword}`, {
    stage: 'resolve',
    remedy: `Use one of ${Object.keys(seriesTags).join(', ')}.`,
  });
}

/** Return keys: to be filled by the receiver. */
function empty(tags: Readonly<Record<string, string>>): Record<string, string> {
  const { SpecificCharacterSet: _, ...keys } = tags;
  return Object.fromEntries(Object.keys(keys).map((keyword) => [keyword, '']));
}
