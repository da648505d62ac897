import { DimseError } from '../errors/dimse-error.ts';
import type { ByteCursor } from './byte-source.ts';

/** Sequential reading of elements. */
export type ElementStream = Pick<ByteStream, 'position' | 'take' | 'takeSome' | 'skip'>;

/** Reads exact amounts from a cursor. Holds the requested bytes, and one chunk. */
export class ByteStream {
  readonly #cursor: ByteCursor;
  #chunk: Buffer;
  #at = 0;
  /** Bytes of the chunks before this one. */
  #before = 0;

  constructor(head: Buffer, rest: ByteCursor) {
    this.#chunk = head;
    this.#cursor = rest;
  }

  /** Bytes read and skipped so far. */
  get position(): number {
    return this.#before + this.#at;
  }

  /** Whether the end has been reached. */
  async isAtEnd(): Promise<boolean> {
    if (this.#at < this.#chunk.length) return false;
    const next = await this.#cursor.next();
    if (next === undefined) return true;
    this.#before += this.#chunk.length;
    this.#chunk = next;
    this.#at = 0;
    return false;
  }

  /** Exactly `length` bytes; the caller has limited it. @throws DimseError `source-not-dicom` if the source ends. */
  async take(length: number): Promise<Buffer> {
    if (this.#chunk.length - this.#at >= length) {
      this.#at += length;
      return this.#chunk.subarray(this.#at - length, this.#at);
    }
    const parts: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      if (await this.isAtEnd()) throw truncated();
      const taken = Math.min(missing, this.#chunk.length - this.#at);
      parts.push(this.#chunk.subarray(this.#at, this.#at + taken));
      this.#at += taken;
      missing -= taken;
    }
    return Buffer.concat(parts, length);
  }

  /** At most `length` available bytes; never none. @throws DimseError `source-not-dicom` if the source ends. */
  async takeSome(length: number): Promise<Buffer> {
    if (await this.isAtEnd()) throw truncated();
    const taken = Math.min(length, this.#chunk.length - this.#at);
    this.#at += taken;
    return this.#chunk.subarray(this.#at - taken, this.#at);
  }

  /** Drops `length` bytes without holding them. */
  async skip(length: number): Promise<void> {
    let missing = length;
    while (missing > 0) {
      if (await this.isAtEnd()) throw truncated();
      const taken = Math.min(missing, this.#chunk.length - this.#at);
      this.#at += taken;
      missing -= taken;
    }
  }

  close(): Promise<void> {
    return this.#cursor.close();
  }
}

function truncated(): DimseError {
  return new DimseError('source-not-dicom', 'not a DICOM file: the source ends inside an element');
}
