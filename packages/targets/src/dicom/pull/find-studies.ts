import { DispatchError } from '@dicom-dispatch/core';
import type { Association } from 'dicom-dimse';
import type { DataSet } from 'dicom-dimse/dataset';
import type { CheckContext, FindQuery, FoundSeries, FoundStudy } from '@dicom-dispatch/target-kit';
import { matchesKey, maxDoubts, seriesNotListed, seriesTags, studyTags } from '../../pull/index.ts';
import type { AnyDicomTarget } from '../schema.ts';
import { findMatches } from './find-matches.ts';
import { findWhole } from './find-whole.ts';
import { openForFind } from './query-association.ts';
import { countOf, textOf, textsOf } from './texts.ts';

/**
 * C-FIND for studies, then for the series of each (Study Root, PS3.4 section C.6.2).
 *
 * @throws DispatchError `target-error` after the last study if the receiver has truncated its results, or does not list the series of
 *   a study
 */
export async function* findStudies(
  query: FindQuery,
  context: CheckContext<AnyDicomTarget>,
): AsyncGenerator<FoundStudy, void, undefined> {
  const { signal } = context;
  for (const keyword of Object.keys(query.series ?? {})) checkKeyword(keyword);
  const association = await openForFind(context);
  try {
    const studies = await findMatches(
      association,
      { ...empty(studyTags), ...studyKeys(query), ...atLevel('STUDY') },
      signal,
    );
    const doubts: string[] = studies.cut === undefined ? [] : [studies.cut];
    for (const study of studies.found) {
      const studyInstanceUid = textOf(study['StudyInstanceUID']) ?? '';
      if (!isOneUid(studyInstanceUid)) {
        doubts.push('its responses include a study without a Study Instance UID');
        continue;
      }
      const expected = countOf(study['NumberOfStudyRelatedSeries']);
      const wanted = { studyInstanceUid, filter: query.series ?? {}, expected };
      const { series, doubt } = await findSeries(association, wanted, signal).catch((thrown: unknown) => {
        const isOfStudy = thrown instanceof DispatchError && thrown.code === 'target-error';
        if (signal.aborted || !isOfStudy || doubts.length >= maxDoubts) throw thrown;
        return { series: [], doubt: seriesNotListed(studyInstanceUid, thrown) };
      });
      if (doubt !== undefined) doubts.push(doubt);
      if (query.series && series.length === 0) continue;
      yield {
        studyInstanceUid,
        instanceCount: countOf(study['NumberOfStudyRelatedInstances']),
        tags: textsOf(study, Object.keys(studyTags)),
        series,
      };
    }
    const [doubt] = doubts;
    if (doubt !== undefined) throw incomplete(studies.found.length, doubt);
  } finally {
    if (signal.aborted) association.abort();
    await association.release();
  }
}

interface SeriesQuery {
  readonly studyInstanceUid: string;
  readonly filter: Readonly<Record<string, string>>;
  /** Number of series of the study, regardless of the filter; undefined if the receiver does not report it. */
  readonly expected: number | undefined;
}

async function findSeries(
  association: Association,
  { studyInstanceUid, filter, expected }: SeriesQuery,
  signal: AbortSignal,
): Promise<{ readonly series: FoundSeries[]; readonly doubt: string | undefined }> {
  const of = { ...empty(seriesTags), ...atLevel('SERIES'), StudyInstanceUID: studyInstanceUid };
  let found: Iterable<DataSet>;
  let doubt: string | undefined;
  const filtered =
    Object.keys(filter).length > 0 ? await findMatches(association, { ...of, ...filter }, signal) : undefined;
  if (filtered && filtered.cut === undefined) {
    found = filtered.found;
  } else {
    const whole = await findWhole(
      association,
      { query: of, uid: 'SeriesInstanceUID', number: 'SeriesNumber', expected },
      signal,
    );
    found = whole.found.values();
    if (whole.missing !== 0)
      doubt = `it lists ${whole.found.size} of ${expected ?? 'an unknown number of'} series of a study`;
  }
  const series: FoundSeries[] = [];
  for (const one of found) {
    // A receiver may ignore unknown keys; its results are compared here again.
    const fits = Object.entries(filter).every(
      ([keyword, key]) => !(keyword in one) || matchesKey(textOf(one[keyword]), key),
    );
    if (!fits) continue;
    series.push({
      seriesInstanceUid: textOf(one['SeriesInstanceUID']) ?? '',
      instanceCount: countOf(one['NumberOfSeriesRelatedInstances']),
      tags: textsOf(one, Object.keys(seriesTags)),
    });
  }
  return { series, doubt };
}

export function atLevel(level: 'STUDY' | 'SERIES' | 'IMAGE'): { QueryRetrieveLevel: string } {
  return { QueryRetrieveLevel: level };
}

/** An empty UID, or one with wildcards, would match everything. */
function isOneUid(text: string): boolean {
  return text !== '' && !/[*?\\]/.test(text);
}

function incomplete(studies: number, doubt: string): DispatchError {
  return new DispatchError('target-error', `the response is incomplete, ${studies} studies were received: ${doubt}`, {
    stage: 'transfer',
    remedy:
      'Narrow the search, or raise the limit of results at the receiver (Orthanc: LimitFindResults, LimitFindInstances).',
  });
}

function studyKeys(query: FindQuery): Record<string, string> {
  return {
    ...(query.accessionNumber !== undefined && { AccessionNumber: query.accessionNumber }),
    ...(query.patientId !== undefined && { PatientID: query.patientId }),
    ...(query.studyInstanceUid !== undefined && { StudyInstanceUID: query.studyInstanceUid }),
    ...(query.studyDate !== undefined && { StudyDate: query.studyDate }),
  };
}

/** A receiver would ignore an unknown key, and return everything. */
function checkKeyword(keyword: string): void {
  if (Object.hasOwn(seriesTags, keyword)) return;
  throw new DispatchError('config-invalid', `series cannot be searched by ${keyword}`, {
    stage: 'resolve',
    remedy: `Use one of ${Object.keys(seriesTags).join(', ')}.`,
  });
}

/** Return keys: empty attributes that the receiver fills in. */
function empty(tags: Readonly<Record<string, string>>): Record<string, string> {
  const { SpecificCharacterSet: _, ...keys } = tags;
  return Object.fromEntries(Object.keys(keys).map((keyword) => [keyword, '']));
}
