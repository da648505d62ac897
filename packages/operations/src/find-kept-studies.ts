import { type IntermediateCache } from '@dicom-dispatch/cache/intermediate';
import type { StudyObject } from '@dicom-dispatch/cache';
import { createCachedSearch } from '@dicom-dispatch/cache/search';
import { fingerprint } from '@dicom-dispatch/core';
import type { FindQuery, FoundStudy } from '@dicom-dispatch/target-kit';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { findStudies } from './find-studies.ts';

export interface LimitedQuery {
  readonly query: FindQuery;
  /** Maximum number of requested studies. */
  readonly limit: number;
}

/**
 * Searches a target, unless the result of an equal query is still cached completely. Results contain patient
 * data: they are cached if the cache has a secret.
 *
 * @param options - `fresh` ignores a cached result, and caches the new one
 * @throws OperationError, DispatchError
 */
export async function findKeptStudies(
  context: Pick<PipelineContext, 'config'>,
  target: string,
  asked: LimitedQuery,
  cache: IntermediateCache | undefined,
  options: { readonly signal: AbortSignal; readonly fresh?: boolean },
): Promise<{ readonly studies: readonly FoundStudy[]; readonly isKept: boolean }> {
  if (!cache) return { studies: await ask(asked), isKept: false };
  let isKept = true;
  const search = createCachedSearch<LimitedQuery>(
    {
      async search(query) {
        isKept = false;
        return (await ask(query)).map(toObject);
      },
    },
    cache,
    // With another address it is another target with the same name.
    `found/${target}/${fingerprint(context.config().targets[target])}`,
  );
  const studies = await search.search(asked, options);
  return { studies: studies.map(fromObject), isKept };

  async function ask({ query, limit }: LimitedQuery): Promise<FoundStudy[]> {
    const found: FoundStudy[] = [];
    for await (const study of findStudies(context, target, query, options.signal)) {
      found.push(study);
      if (found.length === limit) break;
    }
    return found;
  }
}

function toObject({ studyInstanceUid, tags, instanceCount, series }: FoundStudy): StudyObject {
  return {
    studyInstanceUid,
    attributes: { tags, instanceCount },
    series: series.map(({ seriesInstanceUid, ...one }) => ({
      seriesInstanceUid,
      attributes: { tags: one.tags, instanceCount: one.instanceCount },
    })),
  };
}

function fromObject({ studyInstanceUid, attributes, series = [] }: StudyObject): FoundStudy {
  return {
    studyInstanceUid,
    ...shown(attributes),
    series: series.map((one) => ({ seriesInstanceUid: one.seriesInstanceUid, ...shown(one.attributes) })),
  };
}

function shown(attributes: StudyObject['attributes']): Pick<FoundStudy, 'tags' | 'instanceCount'> {
  return {
    tags: (attributes['tags'] ?? {}) as FoundStudy['tags'],
    instanceCount: attributes['instanceCount'] as number | undefined,
  };
}
