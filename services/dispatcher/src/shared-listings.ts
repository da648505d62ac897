import type { IntermediateCache } from '@dicom-dispatch/cache/intermediate';
import type { StudyObject } from '@dicom-dispatch/cache';
import { createCachedSearch } from '@dicom-dispatch/cache/search';
import { fingerprint, type ManifestInstance, type TargetConfig } from '@dicom-dispatch/core';
import type { ListedPart } from '@dicom-dispatch/target-kit';

interface ListQuery extends ListedPart {
  readonly level: 'instance';
}

/**
 * The lists of a target, for the verification of one attempt. A confirming result must be newer than the last
 * transfer: an earlier one would confirm instances that have been lost since. So a result is shared (between two queries
 * of an attempt, or with another delivery to the same target) only if it was requested after a tick that is taken when
 * nothing is in transit; `sending` invalidates the tick. The ticks are numbers from Redis, so no clock has to be right.
 */
export class SharedListings {
  readonly #cache: IntermediateCache;
  readonly #target: { readonly name: string; readonly config: TargetConfig };
  readonly #manifest: readonly ManifestInstance[];
  #since: number | undefined;

  /** @param manifest with the UIDs at the target */
  constructor(
    cache: IntermediateCache,
    target: { readonly name: string; readonly config: TargetConfig },
    manifest: readonly ManifestInstance[],
  ) {
    this.#cache = cache;
    this.#target = target;
    this.#manifest = manifest;
  }

  /** Data are being sent: earlier results are invalid from here on. */
  sending(): void {
    this.#since = undefined;
  }

  async list(
    part: ListedPart,
    ask: () => Promise<ReadonlySet<string>>,
    { fresh = false }: { readonly fresh?: boolean } = {},
  ): Promise<ReadonlySet<string>> {
    const { name, config } = this.#target;
    const searcher = createCachedSearch<ListQuery>(
      { search: async () => [this.#asStudy(part, await ask())] },
      this.#cache,
      // The same name with another address is another target.
      `listed/${name}/${fingerprint(config)}`,
      // The lists contain only UIDs.
      { confidential: false },
    );
    this.#since ??= await searcher.now();
    const options = fresh || this.#since === undefined ? { fresh: true } : { since: this.#since };
    const found = await searcher.search({ ...part, level: 'instance' }, options);
    return new Set(
      found.flatMap(({ series = [] }) =>
        series.flatMap(({ instances = [] }) => instances.map((one) => one.sopInstanceUid)),
      ),
    );
  }

  /** All listed instances, also of other deliveries, which look for theirs. */
  #asStudy({ studyInstanceUid, seriesInstanceUid }: ListedPart, listed: ReadonlySet<string>): StudyObject {
    const known = new Map(this.#manifest.map((one) => [one.sopInstanceUid, one.seriesInstanceUid]));
    const seriesOf = (uid: string): string => seriesInstanceUid ?? known.get(uid) ?? 'unknown';
    const series = Array.from(Map.groupBy(listed, seriesOf), ([uid, members]) => ({
      seriesInstanceUid: uid,
      attributes: {},
      instances: members.map((sopInstanceUid) => ({ sopInstanceUid, attributes: {} })),
    }));
    return { studyInstanceUid, attributes: {}, series };
  }
}
