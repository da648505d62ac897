import type { RuleFacts, StudyTags } from '@dicom-dispatch/core';
import type { OrthancClient } from '@dicom-dispatch/orthanc';
import type { StudyInstance } from '@dicom-dispatch/orthanc';
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
 * Reads what rules and templates look at.
 *
 * @param first - an instance of the study, for how it arrived
 * @throws DispatchError `source-gone` when the study is not there any more
 */
export async function readStudy(
  orthanc: OrthancClient,
  source: string,
  orthancStudyId: string,
  first?: StudyInstance,
  signal?: AbortSignal,
): Promise<StudyFacts> {
  try {
    const study = await orthanc.studyTags(orthancStudyId, signal ? { signal } : undefined);
    const studyInstanceUid = study.tags['StudyInstanceUID'] ?? '';
    const series = study.series.map((one) => one.tags);
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
          ...study.tags,
          ModalitiesInStudy: (study.tags['ModalitiesInStudy'] ?? '').split('\\').filter((one) => one !== ''),
        },
        series,
        origin: originOf(first),
      },
    };
  } catch (error) {
    throw sourceError(error, source, 'manifest');
  }
}

function originOf(instance: StudyInstance | undefined): Record<string, string> {
  const origin: Record<string, string> = {};
  const put = (key: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') origin[key] = value;
  };
  put('RemoteAET', instance?.remoteAet);
  put('CalledAET', instance?.calledAet);
  put('RemoteIP', instance?.remoteIp);
  put('Origin', instance?.origin);
  put('ArrivedAt', instance?.receptionDate);
  return origin;
}
