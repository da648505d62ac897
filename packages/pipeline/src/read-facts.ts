import { createHash } from 'node:crypto';
import type { IntermediateCache } from '@dicom-dispatch/cache/intermediate';
import type { SeriesObject, StudyObject } from '@dicom-dispatch/cache';
import { createCachedFinder, type StudyFinder } from '@dicom-dispatch/cache/search';
import { contentHash, unreadTags, type ManifestInstance } from '@dicom-dispatch/core';
import {
  beyondMainTags,
  readInstanceTags,
  readMoreSeriesTags,
  readMoreStudyTags,
  type OrthancClient,
} from '@dicom-dispatch/sources';

type Tags = Readonly<Record<string, string>>;

/** Names of the required tags, by level. */
export interface FactNames {
  readonly study: Iterable<string>;
  readonly series: Iterable<string>;
  readonly instance: Iterable<string>;
}

/** A study whose instance set has just been read. */
export interface StudyWithContent {
  readonly source: string;
  readonly orthancStudyId: string;
  readonly studyInstanceUid: string;
  readonly manifest: readonly ManifestInstance[];
}

export interface Facts {
  readonly study: Tags;
  /** By Series Instance UID. */
  readonly series: ReadonlyMap<string, Tags>;
  /** By the instance's id in the source. */
  readonly instances: ReadonlyMap<string, Tags>;
}

/**
 * Tags that a source must read from files: slow, so they are cached as a tree of the study. The tree is that of the current
 * content of the study (docs/decisions/0003): if instances are added or replaced, it is another one.
 *
 * @throws OrthancError if the source does not respond
 */
export async function readFacts(
  orthanc: OrthancClient,
  study: StudyWithContent,
  names: FactNames,
  cache: IntermediateCache | undefined,
  signal?: AbortSignal,
): Promise<Facts> {
  const ofStudy = beyondMainTags(names.study).sort();
  const ofSeries = beyondMainTags(names.series).sort();
  const ofInstances = [...new Set(names.instance)].sort();
  const none: Facts = { study: {}, series: new Map(), instances: new Map() };
  if (ofStudy.length + ofSeries.length + ofInstances.length === 0) return none;
  const finder: StudyFinder = { findStudyById: (_uid, level) => ask(level === 'instance') };
  const asked = createHash('sha256')
    .update(JSON.stringify([ofStudy, ofSeries, ofInstances]))
    .digest('base64url');
  const scope = `facts/${study.source}/${study.orthancStudyId}/${contentHash(study.manifest)}/${asked.slice(0, 16)}`;
  const level = ofInstances.length > 0 ? 'instance' : 'series';
  const { findStudyById } = cache ? createCachedFinder(finder, cache, scope) : finder;
  try {
    const found = await findStudyById(study.studyInstanceUid, level);
    return found ? factsOf(found, study.manifest) : none;
  } catch (error) {
    // What could not be read now may be read later: it is not kept.
    if (!(error instanceof PartlyRead)) throw error;
    const facts = factsOf(error.study, study.manifest);
    return {
      ...facts,
      instances: new Map([...facts.instances, ...error.unread.map((id) => [id, unreadTags] as const)]),
    };
  }

  async function ask(withInstances: boolean): Promise<StudyObject> {
    const { orthancStudyId, manifest } = study;
    const [attributes, more, instances] = await Promise.all([
      readMoreStudyTags(orthanc, orthancStudyId, ofStudy, signal),
      readMoreSeriesTags(orthanc, orthancStudyId, ofSeries, signal),
      withInstances ? readInstanceTags(orthanc, study, ofInstances, signal) : new Map<string, Tags>(),
    ]);
    const series = Array.from(
      Map.groupBy(manifest, (one) => one.seriesInstanceUid),
      ([seriesInstanceUid, members]): SeriesObject => ({
        seriesInstanceUid,
        attributes: more.get(seriesInstanceUid) ?? {},
        ...(withInstances && {
          instances: members.flatMap(({ sopInstanceUid, sourceId }) => {
            const tags = instances.get(sourceId);
            return tags ? [{ sopInstanceUid, attributes: tags }] : [];
          }),
        }),
      }),
    );
    const all = { studyInstanceUid: study.studyInstanceUid, attributes, series };
    const unread = Array.from(instances).flatMap(([id, tags]) => (tags === unreadTags ? [id] : []));
    if (unread.length > 0) throw new PartlyRead(all, unread);
    return all;
  }
}

/** The files of some instances could not be read. */
class PartlyRead extends Error {
  readonly study: StudyObject;
  readonly unread: readonly string[];

  constructor(study: StudyObject, unread: readonly string[]) {
    super(`the source cannot read ${unread.length} files of the study`);
    this.study = study;
    this.unread = unread;
  }
}

function factsOf({ attributes, series = [] }: StudyObject, manifest: readonly ManifestInstance[]): Facts {
  const idOf = new Map(manifest.map((one) => [`${one.seriesInstanceUid} ${one.sopInstanceUid}`, one.sourceId]));
  return {
    study: attributes as Tags,
    series: new Map(series.map((one) => [one.seriesInstanceUid, one.attributes as Tags])),
    instances: new Map(
      series.flatMap(({ seriesInstanceUid, instances = [] }) =>
        instances.flatMap(({ sopInstanceUid, attributes: tags }) => {
          const id = idOf.get(`${seriesInstanceUid} ${sopInstanceUid}`);
          return id === undefined ? [] : [[id, tags as Tags] as const];
        }),
      ),
    ),
  };
}
