import type { RuleFacts, StudyTags, WantedTags } from '@dicom-dispatch/core';
import type { OrthancClient } from '@dicom-dispatch/orthanc';
import { readMoreSeriesTags, readMoreStudyTags } from './read-more-tags.ts';
import { sourceError } from './source-error.ts';

/** A study as rules and targets see it. Patient data: keep it in memory, and out of logs, jobs and Redis. */
export interface StudyFacts {
  readonly studyInstanceUid: string;
  readonly orthancStudyId: string;
  /** Orthanc's LastUpdate, `YYYYMMDDTHHMMSS`. */
  readonly lastUpdate: string | undefined;
  readonly tags: StudyTags;
  readonly facts: RuleFacts;
}

/**
 * Reads what templates look at; see `readSnapshot` for rules, which also ask how the study arrived.
 *
 * @param wanted - tags to read besides Orthanc's main ones
 * @throws DispatchError `source-gone` when the study is not there any more
 */
export async function readStudy(
  orthanc: OrthancClient,
  source: string,
  orthancStudyId: string,
  signal?: AbortSignal,
  wanted?: WantedTags,
): Promise<StudyFacts> {
  try {
    const study = await orthanc.studyTags(orthancStudyId, signal ? { signal } : undefined);
    const studyInstanceUid = study.tags['StudyInstanceUID'] ?? '';
    const [moreOfStudy, moreOfSeries] = wanted
      ? await Promise.all([
          readMoreStudyTags(orthanc, orthancStudyId, wanted, signal),
          readMoreSeriesTags(orthanc, orthancStudyId, wanted, signal),
        ])
      : [{}, new Map<string, Readonly<Record<string, string>>>()];
    const series = study.series.map((one) => ({
      ...moreOfSeries.get(one.tags['SeriesInstanceUID'] ?? ''),
      ...one.tags,
    }));
    return {
      studyInstanceUid,
      orthancStudyId,
      lastUpdate: study.lastUpdate,
      tags: {
        studyInstanceUid,
        study: study.tags,
        series: new Map(series.map((tags) => [tags['SeriesInstanceUID'] ?? '', tags])),
      },
      facts: {
        source,
        study: {
          ...moreOfStudy,
          ...study.tags,
          ModalitiesInStudy: (study.tags['ModalitiesInStudy'] ?? '').split('\\').filter((one) => one !== ''),
        },
        series,
        origin: {},
      },
    };
  } catch (error) {
    throw sourceError(error, source, 'manifest');
  }
}
