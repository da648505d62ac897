import { DispatchError, type ErrorCode } from '@dicom-dispatch/core';

/** What the source says of an instance when it is not what the manifest says. */
const deviations: ReadonlySet<ErrorCode> = new Set(['source-instance-gone', 'source-bytes-wrong']);

/**
 * Notices, as instances are read, that a manifest which was read for another attempt is not true any more: one of them
 * is gone, or is another file than it says. It watches nothing until `begin`; what a fresh manifest says is the truth.
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

  /** What an error on an instance means for the manifest: one that is not true any more ends the attempt. */
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
