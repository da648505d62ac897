import type { IntermediateCache } from '@dicom-dispatch/cache/intermediate';
import type { StudyObject } from '@dicom-dispatch/cache';
import { createCachedSearch } from '@dicom-dispatch/cache/search';
import { fingerprint, type ManifestInstance, type TargetConfig } from '@dicom-dispatch/core';
import type { ListedPart } from '@dicom-dispatch/target-kit';

interface ListQuery extends ListedPart {
  readonly level: 'instance';
}

/**
 * What a target lists, for the verification of one attempt. An answer that confirms has to be younger than the last
 * instance that left: one from before would confirm what has been lost since. So an answer is shared (between two looks
 * of an attempt, or with another delivery to the same target) only if it was asked for after a tick that is taken when
 * nothing is on its way; `sending` makes the tick void. The ticks are numbers of Redis, so that no clock has to be right.
 */
export class SharedListings {
  readonly #cache: IntermediateCache;
  readonly #scope: string;
  readonly #seriesOf: ReadonlyMap<string, string>;
  #since: number | undefined;

  /** @param manifest as the target knows it */
  constructor(
    cache: IntermediateCache,
    target: { readonly name: string; readonly config: TargetConfig },
    manifest: readonly ManifestInstance[],
  ) {
    this.#cache = cache;
    // With another address it is another target, under the same name.
    this.#scope = `listed/${target.name}/${fingerprint(target.config)}`;
    this.#seriesOf = new Map(manifest.map((one) => [one.sopInstanceUid, one.seriesInstanceUid]));
  }

  /** Something leaves for the target: from here on, whatever was asked before says nothing. */
  sending(): void {
    this.#since = undefined;
  }

  async list(
    part: ListedPart,
    ask: () => Promise<ReadonlySet<string>>,
    { fresh = false }: { readonly fresh?: boolean } = {},
  ): Promise<ReadonlySet<string>> {
    const searcher = createCachedSearch<ListQuery>(
      { search: async () => [this.#asStudy(part, await ask())] },
      this.#cache,
      this.#scope,
      // Nothing but UIDs.
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

  /** All that was listed, of other deliveries too: whoever shares it looks for theirs. */
  #asStudy({ studyInstanceUid, seriesInstanceUid }: ListedPart, listed: ReadonlySet<string>): StudyObject {
    const seriesOf = (uid: string): string => seriesInstanceUid ?? this.#seriesOf.get(uid) ?? 'unknown';
    const series = Array.from(Map.groupBy(listed, seriesOf), ([uid, members]) => ({
      seriesInstanceUid: uid,
      attributes: {},
      instances: members.map((sopInstanceUid) => ({ sopInstanceUid, attributes: {} })),
    }));
    return { studyInstanceUid, attributes: {}, series };
  }
}
