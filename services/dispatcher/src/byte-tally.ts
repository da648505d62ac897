import { createHash, type Hash } from 'node:crypto';
import type { Tally } from '@dicom-dispatch/sources';

/** Counts the bytes of one instance as they leave the guard, and makes their digest. */
export class ByteTally implements Tally {
  readonly #hash: Hash | undefined;
  #sizeBytes = 0;
  #isWhole = false;
  #sha256: string | undefined;

  constructor(digest: 'sha256' | 'none') {
    this.#hash = digest === 'none' ? undefined : createHash(digest);
  }

  add(chunk: Uint8Array): void {
    this.#sizeBytes += chunk.length;
    this.#hash?.update(chunk);
  }

  end(): void {
    this.#isWhole = true;
  }

  /** Of an instance of which all bytes were handed out; nothing of any other. */
  get result(): { readonly sizeBytes: number | undefined; readonly sha256: string | undefined } {
    if (!this.#isWhole) return { sizeBytes: undefined, sha256: undefined };
    this.#sha256 ??= this.#hash?.digest('hex');
    return { sizeBytes: this.#sizeBytes, sha256: this.#sha256 };
  }
}
