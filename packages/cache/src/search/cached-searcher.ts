import type { IntermediateCache } from '../intermediate/intermediate-cache.ts';
import { DicomObjectCache } from '../objects/dicom-object-cache.ts';
import { reaches, trimStudy, type DicomLevel, type StudyObject } from '../objects/dicom-object.ts';
import { QueryCache } from './query-cache.ts';

/** Anything that can be asked for studies: Orthanc's `/tools/find`, QIDO-RS, C-FIND. `Query` is plain data. */
export interface Searcher<Query> extends StudySearcher<Query>, StudyFinder {}

/** What can be asked by queries. */
export interface StudySearcher<Query> {
  /** The studies that match, each with those of its series and instances that the query is about. */
  search(query: Query, options?: SearchOptions): Promise<readonly StudyObject[]>;
}

/** What can be asked for one study only. */
export interface StudyFinder {
  /** A study with all its children down to the level. */
  findStudyById(studyInstanceUid: string, level: DicomLevel, options?: SearchOptions): Promise<StudyObject | undefined>;
}

export interface SearchOptions {
  readonly signal?: AbortSignal;
  /** Ask all the same, and keep the new answer: for who has to know what is there now. */
  readonly fresh?: boolean;
  /**
   * From `now()`: of the answers that are kept, only one that was asked for later will do. For who has to know what is
   * there since a certain moment.
   */
  readonly since?: number;
}

export interface CachedFinder extends StudyFinder {
  readonly objects: DicomObjectCache;
}

export interface CachedSearch<Query> extends StudySearcher<Query> {
  readonly objects: DicomObjectCache;
  /** This moment in the order of all questions, of all processes, for `since`; undefined when Redis does not respond. */
  now(): Promise<number | undefined>;
}

export interface CachedSearcher<Query> extends CachedSearch<Query>, CachedFinder {}

export interface CachedSearcherOptions {
  /** Answers hold patient data, see `PutOptions`. Default true. */
  readonly confidential?: boolean;
}

/**
 * Puts the cache in front of a searcher. What the cache cannot answer, for whatever reason, the searcher is asked; its
 * errors are thrown on.
 *
 * @param scope name of the server that the searcher asks
 */
export function createCachedSearcher<Query>(
  searcher: Searcher<Query>,
  cache: IntermediateCache,
  scope: string,
  defaults: CachedSearcherOptions = {},
): CachedSearcher<Query> {
  return {
    ...createCachedSearch(searcher, cache, scope, defaults),
    ...createCachedFinder(searcher, cache, scope, defaults),
  };
}

/** The part of it that queries: an equal query is answered from the cache while every object of its answer is there. */
export function createCachedSearch<Query>(
  searcher: StudySearcher<Query>,
  cache: IntermediateCache,
  scope: string,
  defaults: CachedSearcherOptions = {},
): CachedSearch<Query> {
  const objects = new DicomObjectCache(cache, scope, defaults);
  const queries = new QueryCache(cache, objects, scope);
  return {
    objects,
    now: () => cache.tick(),
    async search(query, options = {}) {
      const known = options.fresh ? undefined : await queries.get(query, options.since);
      if (known) return known;
      // Before the question: what the answer says is no older than that.
      const askedAt = await cache.tick();
      const answer = await searcher.search(query, options);
      await queries.put(query, answer, askedAt);
      return answer;
    },
  };
}

/** The part of it that finds a study by its UID: answered from the tree when that has children to the level. */
export function createCachedFinder(
  finder: StudyFinder,
  cache: IntermediateCache,
  scope: string,
  defaults: CachedSearcherOptions = {},
): CachedFinder {
  const objects = new DicomObjectCache(cache, scope, defaults);
  return {
    objects,
    async findStudyById(studyInstanceUid, level, options = {}) {
      // A tree grows from several answers, of several moments: it cannot say since when it knows.
      if (!options.fresh && options.since === undefined) {
        const known = await objects.get({ studyInstanceUid });
        if (known.state === 'found' && known.level === 'study' && reaches(known.cachedLevel, level)) {
          return trimStudy(known.object, level);
        }
      }
      const study = await finder.findStudyById(studyInstanceUid, level, options);
      if (study) await objects.add(study, level);
      else await objects.remove({ studyInstanceUid });
      return study;
    },
  };
}
