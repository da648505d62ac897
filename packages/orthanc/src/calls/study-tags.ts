import { z } from 'zod';

import type { CallContext } from '../call-context.ts';
import { expectAbout } from '../http/about.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';
import { seriesSchema, studySchema } from '../schema.ts';
import type { Series, Study } from '../schema.ts';

export interface StudyTags {
  /** Orthanc's identifiers. */
  id: string;
  patientId: string;
  isStable: boolean | undefined;
  /** `YYYYMMDDTHHMMSS`, UTC. */
  lastUpdate: string | undefined;
  labels: string[];
  /**
   * Main tags of patient and study by keyword, with those that Orthanc computes from the series:
   * ModalitiesInStudy, NumberOfStudyRelatedSeries and NumberOfStudyRelatedInstances (PS3.4, section C.3.4).
   */
  tags: Record<string, string>;
  series: { id: string; tags: Record<string, string>; instanceCount: number }[];
}

/**
 * Data for rules: the main tags of a study, and of each of its series. Two requests, on every version.
 *
 * @throws OrthancError `not-found`, `protocol` if a response is about another study
 */
export async function readStudyTags(
  { transport }: CallContext,
  studyId: string,
  options: CallOptions | undefined,
): Promise<StudyTags> {
  const atStudy = target(path`/studies/${studyId}`);
  const atSeries = target(path`/studies/${studyId}/series`, { expand: true });
  const [study, series] = await Promise.all([
    transport.json(studySchema, { method: 'GET', target: atStudy, options }),
    transport.json(z.array(seriesSchema), { method: 'GET', target: atSeries, options }),
  ]);
  expectAbout(studyId, [study.ID], { method: 'GET', path: atStudy.path });
  expectAbout(
    studyId,
    series.map((each) => each.ParentStudy),
    { method: 'GET', path: atSeries.path },
  );
  return toStudyTags(study, series);
}

/** @param series - all of the study */
export function toStudyTags(study: Study, series: readonly Series[]): StudyTags {
  return {
    id: study.ID,
    patientId: study.ParentPatient,
    isStable: study.IsStable,
    lastUpdate: study.LastUpdate,
    labels: study.Labels ?? [],
    tags: { ...computeTags(series), ...study.PatientMainDicomTags, ...study.MainDicomTags },
    series: series.map((each) => ({ id: each.ID, tags: each.MainDicomTags, instanceCount: each.Instances.length })),
  };
}

function computeTags(series: readonly Series[]): Record<string, string> {
  const modalities = new Set(series.flatMap((each) => each.MainDicomTags['Modality'] ?? []));
  return {
    ModalitiesInStudy: [...modalities].sort().join('\\'),
    NumberOfStudyRelatedSeries: String(series.length),
    NumberOfStudyRelatedInstances: String(series.reduce((sum, each) => sum + each.Instances.length, 0)),
  };
}
