import type { IntermediateCache } from '../intermediate/intermediate-cache.ts';
import { DicomObjectCache } from '../objects/dicom-object-cache.ts';
import { reaches, trimStudy, type DicomLevel, type StudyObject } from '../objects/dicom-object.ts';
import { QueryCache } from './query-cache.ts';

/** Anything that can be asked for studies: Orthanc's `/tools/find`, QIDO-RS, C-FIND. `Query` is plain data. */
export interface Searcher<Query> {
  /** The studies that match, each with those of its series and instances that the query is about. */
  search(query: Query, options?: SearchOptions): Promise<readonly StudyObject[]>;
  /** A study with all its children down to the level. */
  findStudyById(studyInstanceUid: string, level: DicomLevel, options?: SearchOptions): Promise<StudyObject | undefined>;
}

export interface SearchOptions {
  readonly signal?: AbortSignal;
  /** Ask all the same, and keep the new answer: for who has to know what is there now. */
  readonly fresh?: boolean;
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
): Searcher<Query> & { readonly objects: DicomObjectCache } {
  const objects = new DicomObjectCache(cache, scope);
  const queries = new QueryCache(cache, objects, scope);
  return {
    objects,
    async search(query, options = {}) {
      const known = options.fresh ? undefined : await queries.get(query);
      if (known) return known;
      const answer = await searcher.search(query, options);
      await queries.put(query, answer);
      return answer;
    },
    async findStudyById(studyInstanceUid, level, options = {}) {
      if (!options.fresh) {
        const known = await objects.get({ studyInstanceUid });
        if (known.state === 'found' && known.level === 'study' && reaches(known.cachedLevel, level)) {
          return trimStudy(known.object, level);
        }
      }
      const study = await searcher.findStudyById(studyInstanceUid, level, options);
      if (study) await objects.add(study, level);
      else await objects.remove({ studyInstanceUid });
      return study;
    },
  };
}
