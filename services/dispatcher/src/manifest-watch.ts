import { DispatchError, type InstanceBytes, type ManifestInstance } from '@dicom-dispatch/core';

/**
 * Notices, as instances are opened, that a manifest which was read for another attempt is not true any more: one of them
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

  /**
   * @param isChanged - the file comes in another form than it is stored, so that its size says nothing
   * @throws DispatchError that ends the attempt when the manifest is not true any more
   */
  async opening(
    instance: ManifestInstance,
    isChanged: boolean,
    open: () => Promise<InstanceBytes>,
  ): Promise<InstanceBytes> {
    if (!this.#isWatching) return open();
    this.throwIfStale();
    let bytes: InstanceBytes;
    try {
      bytes = await open();
    } catch (error) {
      if (error instanceof DispatchError && error.code === 'source-instance-gone') throw this.#stale();
      throw error;
    }
    if (isChanged || bytes.sizeBytes === undefined || bytes.sizeBytes === instance.sizeBytes) return bytes;
    await bytes.body[Symbol.asyncIterator]().return?.();
    throw this.#stale();
  }

  throwIfStale(): void {
    if (this.#isStale) throw this.#stale();
  }

  #stale(): DispatchError {
    this.#isStale = true;
    return new DispatchError('source-error', 'the source no longer has what the kept manifest says', {
      stage: 'transfer',
    });
  }
}
