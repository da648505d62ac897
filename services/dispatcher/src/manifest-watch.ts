import { DispatchError, type ErrorCode } from '@dicom-dispatch/core';

/** An error for an instance that differs from the manifest. */
const deviations: ReadonlySet<ErrorCode> = new Set(['source-instance-gone', 'source-bytes-wrong']);

/**
 * Detects, while instances are read, that a manifest which was read for another attempt is outdated: one of its instances
 * was deleted, or has another file. It watches nothing until `begin`; a fresh manifest is always correct.
 */
export class ManifestWatch {
  #isWatching = false;
  #isStale = false;

  get isStale(): boolean {
    return this.#isStale;
  }

  begin(): void {
    this.#isWatching = true;
  }

  /** Effect of an instance error on the manifest: an outdated one ends the attempt. */
  judge(thrown: unknown): unknown {
    if (!this.#isWatching || !(thrown instanceof DispatchError) || !deviations.has(thrown.code)) return thrown;
    return this.#stale();
  }

  throwIfStale(): void {
    if (this.#isStale) throw this.#stale();
  }

  #stale(): DispatchError {
    this.#isStale = true;
    return new DispatchError('source-error', 'the stored manifest no longer matches the source', {
      stage: 'transfer',
    });
  }
}
