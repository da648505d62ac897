import { DispatchError } from '@dicom-dispatch/core';
import { isUid, type Association } from 'dicom-dimse';
import type { DataSet } from 'dicom-dimse/dataset';
import type { RetrieveRequest } from '@dicom-dispatch/target-kit';
import { findMatches } from './find-matches.ts';
import { atLevel } from './find-studies.ts';
import { findWhole, type Whole } from './find-whole.ts';
import { countOf, textOf } from './texts.ts';

/** One instance as the target lists it. */
export interface ListedInstance {
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid: string;
  /** Undefined if the receiver does not report it. */
  readonly sopClassUid: string | undefined;
}

/** Identifies an instance of a study, which may have one SOP Instance UID in several series. */
export function listedKey({ seriesInstanceUid, sopInstanceUid }: Omit<ListedInstance, 'sopClassUid'>): string {
  return `${seriesInstanceUid} ${sopInstanceUid}`;
}

/** Instances that the receiver counts, but does not list. */
export interface Gap {
  /** Undefined if the series is unknown. */
  readonly seriesInstanceUid: string | undefined;
  /** Undefined if the receiver does not report it. */
  readonly count: number | undefined;
}

export interface Listing {
  readonly instances: readonly ListedInstance[];
  /** Invalid SOP Instance UIDs: such an instance can neither be requested nor stored. */
  readonly malformed: readonly string[];
  readonly gaps: readonly Gap[];
  /** What the receiver reports about the SOP classes of each series, by Series Instance UID. */
  readonly hints: ReadonlyMap<string, SeriesHint>;
}

export interface SeriesHint {
  readonly modality: string | undefined;
  /** SOP Classes in Study (0008,0062). */
  readonly sopClassUids: readonly string[];
}

/**
 * The instances of a study, or of some of its series, by C-FIND: study, series, images, each compared with the count of
 * the level above (NumberOfStudyRelatedInstances and similar).
 */
export async function listInstances(
  association: Association,
  { studyInstanceUid, seriesInstanceUids }: Pick<RetrieveRequest, 'studyInstanceUid' | 'seriesInstanceUids'>,
  signal: AbortSignal,
): Promise<Listing> {
  const study = await countsOf(association, studyInstanceUid, signal);
  const series = seriesInstanceUids
    ? { found: await theseSeries(association, studyInstanceUid, seriesInstanceUids, signal), missing: 0 }
    : await findWhole(
        association,
        {
          query: {
            ...atLevel('SERIES'),
            StudyInstanceUID: studyInstanceUid,
            SeriesInstanceUID: '',
            Modality: '',
            NumberOfSeriesRelatedInstances: '',
          },
          uid: 'SeriesInstanceUID',
          number: 'SeriesNumber',
          expected: study.series,
        },
        signal,
      );

  const listed = new Map<string, ListedInstance>();
  const malformed = new Set<string>();
  const gaps: Gap[] = [];
  const hints = new Map<string, SeriesHint>();
  for (const [seriesInstanceUid, one] of series.found) {
    hints.set(seriesInstanceUid, { modality: textOf(one['Modality']), sopClassUids: study.sopClassUids });
    const uids = { StudyInstanceUID: studyInstanceUid, SeriesInstanceUID: seriesInstanceUid, SOPInstanceUID: '' };
    const expected = countOf(one['NumberOfSeriesRelatedInstances']);
    const { found, missing } = await findImages(association, uids, expected, signal);
    if (missing !== 0) gaps.push({ seriesInstanceUid, count: missing });
    for (const [sopInstanceUid, image] of found) {
      if (!isUid(sopInstanceUid)) malformed.add(sopInstanceUid);
      else {
        const one = { sopInstanceUid, seriesInstanceUid, sopClassUid: classOf(image) };
        listed.set(listedKey(one), one);
      }
    }
  }
  if (!seriesInstanceUids) {
    const counted = listed.size + malformed.size + gaps.reduce((sum, { count = 0 }) => sum + count, 0);
    if (study.instances !== undefined && study.instances > counted) {
      gaps.push({ seriesInstanceUid: undefined, count: study.instances - counted });
    } else if (series.missing !== 0 && study.instances === undefined) {
      gaps.push({ seriesInstanceUid: undefined, count: undefined });
    }
  }
  return { instances: [...listed.values()], malformed: [...malformed], gaps, hints };
}

/**
 * The images of a series with their SOP classes. Some archives read these from their files, and fail for the whole series if one file
 * is damaged or missing: then the query is repeated without SOP classes.
 */
async function findImages(
  association: Association,
  uids: DataSet,
  expected: number | undefined,
  signal: AbortSignal,
): Promise<Whole> {
  const images = (query: DataSet): Promise<Whole> => {
    const whole = {
      query: { ...atLevel('IMAGE'), ...query },
      uid: 'SOPInstanceUID',
      number: 'InstanceNumber',
    } as const;
    return findWhole(association, { ...whole, expected }, signal);
  };
  try {
    return await images({ ...uids, SOPClassUID: '' });
  } catch (error) {
    const isAnswer = error instanceof DispatchError && error.code === 'target-error' && !association.hasEnded;
    if (!isAnswer || signal.aborted) throw error;
    return images(uids);
  }
}

async function countsOf(association: Association, studyInstanceUid: string, signal: AbortSignal) {
  const query = {
    ...atLevel('STUDY'),
    StudyInstanceUID: studyInstanceUid,
    NumberOfStudyRelatedSeries: '',
    NumberOfStudyRelatedInstances: '',
    SOPClassesInStudy: '',
  };
  const { found } = await findMatches(association, query, signal);
  const study = found.find((one) => textOf(one['StudyInstanceUID']) === studyInstanceUid);
  return {
    series: countOf(study?.['NumberOfStudyRelatedSeries']),
    instances: countOf(study?.['NumberOfStudyRelatedInstances']),
    sopClassUids: (textOf(study?.['SOPClassesInStudy']) ?? '').split('\\').filter(isUid),
  };
}

/** Queries each series by its UID, so that a limit of results does not matter. */
async function theseSeries(
  association: Association,
  studyInstanceUid: string,
  seriesInstanceUids: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, DataSet>> {
  const series = new Map<string, DataSet>();
  for (const seriesInstanceUid of seriesInstanceUids) {
    const query = {
      ...atLevel('SERIES'),
      StudyInstanceUID: studyInstanceUid,
      SeriesInstanceUID: seriesInstanceUid,
      Modality: '',
      NumberOfSeriesRelatedInstances: '',
    };
    const { found } = await findMatches(association, query, signal);
    const one = found.find((match) => textOf(match['SeriesInstanceUID']) === seriesInstanceUid);
    if (one) series.set(seriesInstanceUid, one);
  }
  return series;
}

function classOf(image: DataSet): string | undefined {
  const sopClassUid = textOf(image['SOPClassUID']) ?? '';
  return isUid(sopClassUid) ? sopClassUid : undefined;
}
