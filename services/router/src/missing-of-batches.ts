import { DispatchError } from '@dicom-dispatch/core';
import { judgeDatabase, otherDatabase, sourceError, type OrthancClient } from '@dicom-dispatch/sources';
import type { Batch } from '@dicom-dispatch/state/batches';
import { seenChanges, type FeedState } from '@dicom-dispatch/state/feed';
import { missingMs } from './study-router.ts';

export interface MissingDependencies {
  readonly source: string;
  readonly orthanc: OrthancClient;
  /** How far the source has been followed. */
  feed(): FeedState | undefined;
  /** Redis TIME. */
  now(): number;
  readonly signal: AbortSignal;
}

/**
 * Studies of batches that a source reports as missing. A study has left only if the database is certainly that of the batch,
 * and reports so for some time: an Orthanc that was started with an empty or older database must not empty a batch.
 */
export class MissingOfBatches {
  readonly #dependencies: MissingDependencies;
  /** By id of the batch: its study that is missing, and since when. */
  readonly #missing = new Map<string, { readonly study: string; readonly since: number }>();

  constructor(dependencies: MissingDependencies) {
    this.#dependencies = dependencies;
  }

  /** Whether the source was queried for this study a moment ago. */
  isTooEarly(batchId: string, study: string): boolean {
    const known = this.#missing.get(batchId);
    return known?.study === study && this.#dependencies.now() < known.since + missingMs.same;
  }

  /**
   * @returns false while it must be queried again
   * @throws DispatchError if the database is another one, or its identity is unknown
   */
  async hasLeft({ id, epoch }: Batch, study: string): Promise<boolean> {
    const { source, orthanc, now, signal } = this.#dependencies;
    const feed = this.#dependencies.feed();
    if (epoch !== undefined && feed && feed.epoch !== epoch) throw otherDatabase(source);
    const verdict = await judgeDatabase(orthanc, feed ? seenChanges(feed) : [], { signal }).catch((error: unknown) => {
      throw sourceError(error, source);
    });
    if (verdict === 'another') throw otherDatabase(source);
    if (verdict === 'unknown') throw unknownDatabase(source);
    const known = this.#missing.get(id);
    if (known?.study !== study) {
      this.#missing.set(id, { study, since: now() });
      return false;
    }
    if (now() < known.since + missingMs.same) return false;
    this.#missing.delete(id);
    return true;
  }
}

function unknownDatabase(source: string): DispatchError {
  return new DispatchError(
    'source-error',
    `source ${source} does not have a study of a batch, and its database may not be the one that had it`,
    {
      stage: 'manifest',
      remedy:
        'Check that the source Orthanc uses its own storage and database. It is queried again, and its answer counts when it has stored another study. If the studies no longer exist, cancel the batch.',
    },
  );
}
