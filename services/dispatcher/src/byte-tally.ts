import { createHash, hash, type Hash } from 'node:crypto';
import type { Tally } from '@dicom-dispatch/sources';

/** Counts the bytes of one instance after the guard, and computes their digest. */
export class ByteTally implements Tally {
  readonly #digest: 'sha256' | 'none';
  #hash: Hash | undefined;
  #sizeBytes = 0;
  #isWhole = false;
  #sha256: string | undefined;

  constructor(digest: 'sha256' | 'none') {
    this.#digest = digest;
  }

  add(chunk: Uint8Array, isLast: boolean): void {
    this.#sizeBytes += chunk.length;
    if (this.#digest === 'none') {
      if (isLast) this.#isWhole = true;
    } else if (isLast && this.#sizeBytes === chunk.length) {
      // Almost every small instance is one chunk: one call, and no object of the crypto library that must be collected.
      this.#sha256 = hash('sha256', chunk);
      this.#isWhole = true;
    } else {
      this.#hash ??= createHash('sha256');
      this.#hash.update(chunk);
      if (isLast) this.end();
    }
  }

  end(): void {
    this.#isWhole = true;
    if (this.#digest === 'sha256') this.#sha256 ??= (this.#hash ?? createHash('sha256')).digest('hex');
  }

  /** For an instance whose bytes were all passed on; undefined for others. */
  get result(): { readonly sizeBytes: number | undefined; readonly sha256: string | undefined } {
    if (!this.#isWhole) return { sizeBytes: undefined, sha256: undefined };
    return { sizeBytes: this.#sizeBytes, sha256: this.#sha256 };
  }
}
