import { createHash, hash, type Hash } from 'node:crypto';
import type { Tally } from '@dicom-dispatch/sources';

/** Counts the bytes of one instance after the guard, and computes their digest. */
export class ByteTally implements Tally {
  readonly #digest: 'sha256' | 'none';
  readonly #onWhole: (tally: ByteTally) => void;
  #hash: Hash | undefined;
  #sizeBytes = 0;
  #isWhole = false;
  #sha256: string | undefined;

  /** @param onWhole - called when all bytes were passed on */
  constructor(digest: 'sha256' | 'none', onWhole: (tally: ByteTally) => void = () => {}) {
    this.#digest = digest;
    this.#onWhole = onWhole;
  }

  add(chunk: Uint8Array, isLast: boolean): void {
    this.#sizeBytes += chunk.length;
    if (this.#digest === 'sha256') {
      if (isLast && this.#sizeBytes === chunk.length) {
        // Almost every small instance is one chunk: one call, and no object of the crypto library that must be collected.
        this.#sha256 = hash('sha256', chunk);
      } else {
        this.#hash ??= createHash('sha256');
        this.#hash.update(chunk);
      }
    }
    if (isLast) this.end();
  }

  end(): void {
    if (this.#isWhole) return;
    this.#isWhole = true;
    if (this.#digest === 'sha256') this.#sha256 ??= (this.#hash ?? createHash('sha256')).digest('hex');
    this.#onWhole(this);
  }

  /** Both are undefined until all bytes of the instance were passed on. */
  get result(): { readonly sizeBytes: number | undefined; readonly sha256: string | undefined } {
    if (!this.#isWhole) return { sizeBytes: undefined, sha256: undefined };
    return { sizeBytes: this.#sizeBytes, sha256: this.#sha256 };
  }
}
