import type { DataSetSink } from '../dimse/message-assembler.ts';
import { DimseError } from '../errors/dimse-error.ts';
import { ABORTS } from '../pdu/reasons.ts';

/** Gathers a small data set (an identifier, a commitment request), up to a bound. */
export class CollectingSink implements DataSetSink {
  readonly #limitBytes: number;
  readonly #onEnd: (dataSet: Buffer) => void;
  #bytes: Buffer = Buffer.alloc(0);
  #fill = 0;

  constructor(limitBytes: number, onEnd: (dataSet: Buffer) => void) {
    this.#limitBytes = limitBytes;
    this.#onEnd = onEnd;
  }

  write(piece: Buffer): void {
    const wanted = this.#fill + piece.length;
    if (wanted > this.#limitBytes) {
      throw new DimseError(
        'limit-exceeded',
        `received a data set of more than ${this.#limitBytes} bytes (maxDataSetBytes)`,
        {
          abort: ABORTS['not-specified'],
        },
      );
    }
    if (wanted > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(wanted, 2 * this.#bytes.length));
      this.#bytes.copy(grown, 0, 0, this.#fill);
      this.#bytes = grown;
    }
    piece.copy(this.#bytes, this.#fill);
    this.#fill = wanted;
  }

  end(): void {
    this.#onEnd(this.#bytes.subarray(0, this.#fill));
  }
}
