import type { IntermediateCache } from '../intermediate/intermediate-cache.ts';
import { DicomObjectCache } from '../objects/dicom-object-cache.ts';
import { reaches, trimStudy, type DicomLevel, type StudyObject } from '../objects/dicom-object.ts';
import { QueryCache } from './query-cache.ts';

/** Any searchable source of studies: Orthanc's `/tools/find`, QIDO-RS, C-FIND. `Query` is plain data. */
export interface Searcher<Query> extends StudySearcher<Query>, StudyFinder {}

/** Search by queries. */
export interface StudySearcher<Query> {
  /** The studies that match, each with those of its series and instances that the query matches. */
  search(query: Query, options?: SearchOptions): Promise<readonly StudyObject[]>;
}

/** Search within one study. */
export interface StudyFinder {
  /** A study with all its children down to the level. */
  findStudyById(studyInstanceUid: string, level: DicomLevel, options?: SearchOptions): Promise<StudyObject | undefined>;
}

export interface SearchOptions {
  readonly signal?: AbortSignal;
  /** Always query the server, and store the new result: for callers that need the current state. */
  readonly fresh?: boolean;
  /**
   * From `now()`: of the stored results, only one that was queried later is used. For callers that need the state
   * since a certain time.
   */
  readonly since?: number;
}

export interface CachedFinder extends StudyFinder {
  readonly objects: DicomObjectCache;
}

export interface CachedSearch<Query> extends StudySearcher<Query> {
  readonly objects: DicomObjectCache;
  /** The current position in the common order of the queries of all processes, for `since`; undefined when Redis does not respond. */
  now(): Promise<number | undefined>;
}

export interface CachedSearcher<Query> extends CachedSearch<Query>, CachedFinder {}

export interface CachedSearcherOptions {
  /** Results contain patient data, see `PutOptions`. Default true. */
  readonly confidential?: boolean;
}

/**
 * Puts the cache in front of a searcher. If the cache has no result, for any reason, the searcher is queried; its
 * errors are passed on.
 *
 * @param scope name of the server that the searcher queries
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

/** The part that searches: the result of an equal query is taken from the cache as long as every object of it is cached. */
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
      // Before the query: the result is not older than that.
      const askedAt = await cache.tick();
      const answer = await searcher.search(query, options);
      await queries.put(query, answer, askedAt);
      return answer;
    },
  };
}

/** The part that finds a study by its UID: taken from the cached tree if it has all children down to the level. */
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
      // A tree is built from several results of different times: its age is unknown.
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
