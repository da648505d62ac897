import { DimseError } from '../errors/dimse-error.ts';
import { ABORTS } from './reasons.ts';

/** The error for a PDU that the Standard does not allow; the reason in the A-ABORT is an invalid parameter value. */
export function invalidPdu(message: string): DimseError {
  return new DimseError('protocol-error', message, { abort: ABORTS['invalid-pdu-parameter-value'] });
}

/** Reads fixed fields from a buffer; each step is checked against the available bytes and names its field. */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #offset = 0;

  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  #advance(length: number, field: string): number {
    if (length > this.remaining) {
      throw invalidPdu(`${this.#what}: ${field} needs ${length} bytes; only ${this.remaining} are left`);
    }
    const at = this.#offset;
    this.#offset += length;
    return at;
  }

  u8(field: string): number {
    return this.#bytes.readUInt8(this.#advance(1, field));
  }

  u16(field: string): number {
    return this.#bytes.readUInt16BE(this.#advance(2, field));
  }

  u32(field: string): number {
    return this.#bytes.readUInt32BE(this.#advance(4, field));
  }

  skip(length: number, field: string): void {
    this.#advance(length, field);
  }

  bytes(length: number, field: string): Buffer {
    const at = this.#advance(length, field);
    return this.#bytes.subarray(at, at + length);
  }

  /** A UID or name; peers pad them with NUL or space although PS3.8 annex F forbids it. */
  text(length: number, field: string): string {
    return this.bytes(length, field)
      .toString('latin1')
      .replace(/[\0 ]+$/, '');
  }

  rest(): Buffer {
    return this.bytes(this.remaining, 'rest');
  }
}
