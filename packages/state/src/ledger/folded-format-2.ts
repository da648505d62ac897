import { brotliDecompressSync, inflateRawSync } from 'node:zlib';
import type { Columns } from './folded-format-1.ts';

/** A column of this number of bytes is compressed separately. */
const ownCodeBytes = 64;
/** The small parts of a ledger of a million instances are smaller than this. */
const maxHeadBytes = 256 * 1024 * 1024;

/** The text around the numbers, and the width of each number with leading zeros; 0 without. */
type Form = readonly [literals: readonly string[], widths: readonly number[]];

interface Table {
  readonly count: number;
  readonly series: readonly (string | null)[];
  readonly deliveries: readonly string[];
  readonly notes: readonly string[];
}

/** Columns as they were written until format 7 of the data: each byte of the numbers of a column is compressed by itself. */
export function readFormat2(bytes: Buffer): Columns {
  const reader = new ColumnReader(bytes);
  const { count, ...table } = reader.json() as Table;
  return {
    ...table,
    fields: reader.texts(count),
    versions: reader.texts(count),
    ofSeries: reader.numbers(count),
    times: reader.numbers(count),
    attempts: reader.numbers(count),
    ofDelivery: reader.numbers(count),
    ofNote: reader.numbers(count),
  };
}

/**
 * `length of the small parts, these in brotli, then length and bytes of each row in deflate`; lengths are 4 bytes.
 * @throws an error for anything else
 */
class ColumnReader {
  readonly #small: Buffer;
  readonly #bytes: Buffer;
  #smallAt = 0;
  #rowAt: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#rowAt = 4 + bytes.readUInt32LE(0);
    this.#small = brotliDecompressSync(bytes.subarray(4, this.#rowAt), { maxOutputLength: maxHeadBytes });
  }

  /** @param count - how many values the column has */
  numbers(count: number): number[] {
    const [byDifference = 0, width = 0, length = 0] = this.#next(3);
    const first = unzigzag(integer([...this.#next(length)]));
    const rows = Array.from({ length: width }, () => (count < ownCodeBytes ? this.#next(count) : this.#row(count)));
    let before = first;
    return Array.from({ length: count }, (_, at) => {
      const value = integer(rows.map((row) => row[at] ?? 0));
      before = byDifference === 1 ? before + unzigzag(value) : first + value;
      return before;
    });
  }

  texts(count: number): string[] {
    const known = this.json() as readonly (Form | string)[];
    const forms = known.filter((form) => typeof form !== 'string');
    if (forms.length < known.length) return known as string[];
    const ofForm = this.numbers(count);
    const texts: string[] = Array.from({ length: count }, () => '');
    for (const [number, [literals, widths]] of forms.entries()) {
      const places = [...texts.keys()].filter((at) => ofForm[at] === number);
      const columns = widths.map(() => this.numbers(places.length));
      for (const [row, place] of places.entries()) {
        texts[place] = literals.reduce(
          (text, literal, at) =>
            text + String(columns[at - 1]?.[row] ?? '').padStart(widths[at - 1] ?? 0, '0') + literal,
        );
      }
    }
    return texts;
  }

  json(): unknown {
    return JSON.parse(this.#next(this.#next(4).readUInt32LE(0)).toString()) as unknown;
  }

  #next(length: number): Buffer {
    const from = this.#smallAt;
    this.#smallAt += length;
    if (this.#smallAt > this.#small.length) throw new RangeError('a column ends too early');
    return this.#small.subarray(from, this.#smallAt);
  }

  #row(count: number): Buffer {
    const from = this.#rowAt + 4;
    this.#rowAt = from + this.#bytes.readUInt32LE(this.#rowAt);
    const row = inflateRawSync(this.#bytes.subarray(from, this.#rowAt), { maxOutputLength: count });
    if (row.length !== count) throw new RangeError('a column ends too early');
    return row;
  }
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** The number that consists of these bytes, the lowest first. */
function integer(bytes: readonly number[]): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}
