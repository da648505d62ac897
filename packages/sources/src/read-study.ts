import type { RuleFacts, StudyTags, WantedTags } from '@dicom-dispatch/core';
import type { OrthancClient, StudyTags as OrthancStudyTags } from '@dicom-dispatch/orthanc';
import { beyondMainTags, readMoreSeriesTags, readMoreStudyTags } from './read-more-tags.ts';
import { studyError } from './study-error.ts';

/** A study as used by rules and targets. Patient data: keep it in memory, and out of logs, jobs and Redis. */
export interface StudyFacts {
  readonly studyInstanceUid: string;
  readonly orthancStudyId: string;
  /** Orthanc's LastUpdate, `YYYYMMDDTHHMMSS`. */
  readonly lastUpdate: string | undefined;
  /** As reported by Orthanc; true after its restart, even if more instances were to arrive. */
  readonly isStable?: boolean | undefined;
  readonly tags: StudyTags;
  readonly facts: RuleFacts;
}

/**
 * Reads a study from Orthanc's database; see `readSnapshot` for rules, which also need how the study arrived.
 *
 * @throws DispatchError `source-gone` if the study no longer exists
 */
export async function readStudy(
  orthanc: OrthancClient,
  source: string,
  orthancStudyId: string,
  signal?: AbortSignal,
): Promise<StudyFacts> {
  try {
    const study = await orthanc.studyTags(orthancStudyId, signal ? { signal } : undefined);
    return toStudyFacts(source, orthancStudyId, study);
  } catch (error) {
    throw await studyError(error, orthanc, { source, orthancStudyId }, 'manifest', signal);
  }
}

/** The facts of a study from its main tags. */
export function toStudyFacts(source: string, orthancStudyId: string, study: OrthancStudyTags): StudyFacts {
  const studyInstanceUid = study.tags['StudyInstanceUID'] ?? '';
  const series = study.series.map((one) => one.tags);
  return {
    studyInstanceUid,
    orthancStudyId,
    lastUpdate: study.lastUpdate,
    isStable: study.isStable,
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
      origin: {},
    },
  };
}

/** A study with additional tags, those of series by Series Instance UID. Tags of the database take precedence. */
export function addFacts<T extends StudyFacts>(
  study: T,
  more: {
    readonly study: Readonly<Record<string, string>>;
    readonly series: ReadonlyMap<string, Readonly<Record<string, string>>>;
  },
): T {
  const series = study.facts.series.map((tags) => ({
    ...more.series.get(String(tags['SeriesInstanceUID'] ?? '')),
    ...tags,
  }));
  return {
    ...study,
    tags: {
      ...study.tags,
      study: { ...more.study, ...study.tags.study },
      series: new Map(
        Array.from(study.tags.series, ([uid, tags]) => [uid, { ...more.series.get(uid), ...tags }] as const),
      ),
    },
    facts: { ...study.facts, study: { ...more.study, ...study.facts.study }, series },
  };
}

/**
 * Reads a study with additional tags: those that templates name.
 *
 * @throws DispatchError `source-gone` if the study no longer exists
 */
export async function readStudyWith(
  orthanc: OrthancClient,
  source: string,
  orthancStudyId: string,
  wanted: Pick<WantedTags, 'study' | 'series'>,
  signal?: AbortSignal,
): Promise<StudyFacts> {
  const facts = await readStudy(orthanc, source, orthancStudyId, signal);
  try {
    const [study, series] = await Promise.all([
      readMoreStudyTags(orthanc, orthancStudyId, beyondMainTags(wanted.study), signal),
      readMoreSeriesTags(orthanc, orthancStudyId, beyondMainTags(wanted.series), signal),
    ]);
    return addFacts(facts, { study, series });
  } catch (error) {
    throw await studyError(error, orthanc, { source, orthancStudyId }, 'manifest', signal);
  }
}
