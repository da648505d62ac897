import { createHash } from 'node:crypto';
import { DimseError } from '../errors/dimse-error.ts';
import type { ElementStream } from './byte-stream.ts';

/** The value of one element: nothing is read beyond its end, and all its bytes are digested. Needs no more memory than its stream. */
export class ValueStream implements ElementStream {
  readonly #stream: ElementStream;
  readonly #end: number;
  readonly #sum = createHash('sha256');

  /** @param length - of the value, in bytes; @param first - its first bytes, already read */
  constructor(stream: ElementStream, length: number, first: Buffer) {
    this.#stream = stream;
    this.#end = stream.position + length - first.length;
    this.#sum.update(first);
  }

  get position(): number {
    return this.#stream.position;
  }

  /** Bytes that have not been read. */
  get left(): number {
    return this.#end - this.#stream.position;
  }

  /** @throws DimseError `source-not-dicom` beyond the end of the value, and what the stream throws */
  async take(length: number): Promise<Buffer> {
    this.#checkEnd(length);
    const taken = await this.#stream.take(length);
    this.#sum.update(taken);
    return taken;
  }

  /** @throws as `take` */
  async takeSome(length: number): Promise<Buffer> {
    this.#checkEnd(length);
    const taken = await this.#stream.takeSome(length);
    this.#sum.update(taken);
    return taken;
  }

  /** @throws as `take` */
  async skip(length: number): Promise<void> {
    for (let left = length; left > 0;) left -= (await this.takeSome(left)).length;
  }

  /** SHA-256 of the complete value. Reads the rest of it. */
  async digest(): Promise<Buffer> {
    await this.skip(this.left);
    return this.#sum.digest();
  }

  #checkEnd(length: number): void {
    if (length > this.left) throw new DimseError('source-not-dicom', 'not a DICOM file: an item exceeds its value');
  }
}
