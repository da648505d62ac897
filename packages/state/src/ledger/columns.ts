import { brotliCompressSync, brotliDecompressSync, constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { packDigits, packedLength, unpackDigits } from './digits.ts';

/** Digits of one number. */
const digits = /(\d{1,15})/;
/** Texts with more forms have little in common: they are written as JSON. */
const maxForms = 64;
/** Shorter rows are compressed together. */
const ownCodeBytes = 64;
/** The small parts of a ledger of a million instances are smaller than this. */
const maxHeadBytes = 256 * 1024 * 1024;
/** With a larger base, columns are written as rows of bytes. */
const largestBase = 2 ** 16;

/** The text around the numbers, and the width of each number with leading zeros; 0 without. */
type Form = readonly [literals: readonly string[], widths: readonly number[]];

/**
 * Writes the columns of a table in a compact form: numbers as differences, or as such, above the smallest one, divided by
 * what they have in common; texts as the text around their numbers, once, and these numbers. `ColumnReader` reads
 * them in the same order.
 */
export class ColumnWriter {
  /** Small parts are compressed together, each long row of bytes by itself. */
  readonly #small: Buffer[] = [];
  readonly #rows: Buffer[] = [];

  /** Length of the small parts (4 bytes), these in brotli, then the rows. */
  get bytes(): Buffer {
    const small = brotliCompressSync(Buffer.concat(this.#small), {
      params: { [constants.BROTLI_PARAM_QUALITY]: 9 },
    });
    return Buffer.concat([uint32(small.length), small, ...this.#rows]);
  }

  /**
   * The values are the digits of one number, or rows of their bytes in deflate, whichever is shorter.
   *
   * @param values - integers that are 1e15 at most, as are their differences
   */
  numbers(values: readonly number[]): this {
    const steps = values.slice(1).map((value, at) => value - (values[at] ?? 0));
    const [above, differences] = [reduce(values), reduce(steps)];
    const byDifference = bits(differences.values) < bits(above.values);
    const { least, unit, values: stored } = byDifference ? differences : above;
    const highest = stored.reduce((most, value) => Math.max(most, value), 0);
    const base = highest + 1;
    const width = bytesOf(highest);
    const rows = Array.from({ length: width }, (_, byte) =>
      Buffer.from(stored.map((value) => Math.floor(value / 256 ** byte) % 256)),
    );
    const packed = base <= largestBase ? packedLength(stored.length, base) : Number.POSITIVE_INFINITY;
    const compressed = rows.map((row) => (row.length < ownCodeBytes ? row : deflateRawSync(row, { level: 9 })));
    const isPacked = packed <= compressed.reduce((sum, row) => sum + row.length + 1, 0);
    this.#small.push(Buffer.from([(byDifference ? 1 : 0) + (isPacked ? 2 : 0)]));
    this.#count(zigzag(least), unit, isPacked ? base : width);
    if (byDifference) this.#count(zigzag(values[0] ?? 0));
    if (isPacked) this.#add(packDigits(stored, base), packed);
    else {
      for (const [byte, row] of rows.entries()) {
        const short = compressed[byte] ?? row;
        if (row.length >= ownCodeBytes) this.#count(short.length);
        this.#add(short, row.length);
      }
    }
    return this;
  }

  texts(values: readonly string[]): this {
    const split = values.map((value) => value.split(digits));
    const forms = new Map<string, number>();
    const ofForm = split.map((parts) => {
      const literals = parts.filter((_, at) => at % 2 === 0);
      const widths = numbersOf(parts).map((number) => (/^0./.test(number) ? number.length : 0));
      const form = JSON.stringify([literals, widths] satisfies Form);
      const known = forms.get(form) ?? forms.size;
      forms.set(form, known);
      return known;
    });
    if (forms.size > maxForms) return this.json(values);
    this.json([...forms.keys()].map((form) => JSON.parse(form) as Form)).numbers(ofForm);
    for (const number of [...forms.keys()].keys()) {
      const some = split.filter((_, at) => ofForm[at] === number).map(numbersOf);
      for (const at of (some[0] ?? []).keys()) this.numbers(some.map((numbers) => Number(numbers[at])));
    }
    return this;
  }

  json(value: unknown): this {
    const text = Buffer.from(JSON.stringify(value));
    this.#count(text.length);
    this.#small.push(text);
    return this;
  }

  /** @param length - as the reader knows it before it reads the row */
  #add(row: Buffer, length: number): void {
    (length < ownCodeBytes ? this.#small : this.#rows).push(row);
  }

  /** Positive integers, 7 bits in a byte, the lowest first. */
  #count(...values: readonly number[]): void {
    for (const value of values) {
      const bytes: number[] = [];
      let rest = value;
      for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(128 + (rest % 128));
      this.#small.push(Buffer.from([...bytes, rest]));
    }
  }
}

/** Reads the output of `ColumnWriter`. @throws an error for anything else */
export class ColumnReader {
  readonly #small: Buffer;
  readonly #bytes: Buffer;
  #smallAt = 0;
  #rowAt: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#rowAt = 4 + bytes.readUInt32LE(0);
    if (this.#rowAt > bytes.length) throw new RangeError('a column ends too early');
    this.#small = brotliDecompressSync(bytes.subarray(4, this.#rowAt), { maxOutputLength: maxHeadBytes });
  }

  /** @param count - how many values the column has */
  numbers(count: number): number[] {
    const [kind = 0] = this.#next(1);
    const [byDifference, isPacked] = [kind % 2 === 1, kind >= 2];
    const [least, unit, size] = [unzigzag(this.#count()), this.#count(), this.#count()];
    let last = byDifference ? unzigzag(this.#count()) : 0;
    const stored = Math.max(0, byDifference ? count - 1 : count);
    const values = (isPacked ? this.#packed(stored, size) : this.#bytewise(stored, size)).map(
      (value) => least + unit * value,
    );
    if (!byDifference || count === 0) return values;
    return [last, ...values.map((step) => (last += step))];
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
    return JSON.parse(this.#next(this.#count()).toString()) as unknown;
  }

  /** @throws RangeError if not everything was read: the columns then had other lengths */
  end(): void {
    if (this.#smallAt !== this.#small.length || this.#rowAt !== this.#bytes.length) {
      throw new RangeError('a column ends too late');
    }
  }

  #packed(count: number, base: number): number[] {
    if (base > largestBase) throw new RangeError('a column has other digits');
    const length = packedLength(count, base);
    return unpackDigits(length < ownCodeBytes ? this.#next(length) : this.#row(length), count, base);
  }

  #bytewise(count: number, width: number): number[] {
    const rows = Array.from({ length: width }, () => {
      if (count < ownCodeBytes) return this.#next(count);
      const row = inflateRawSync(this.#row(this.#count()), { maxOutputLength: count });
      if (row.length !== count) throw new RangeError('a column ends too early');
      return row;
    });
    return Array.from({ length: count }, (_, at) => rows.reduceRight((value, row) => value * 256 + (row[at] ?? 0), 0));
  }

  #count(): number {
    let [value, scale] = [0, 1];
    for (;;) {
      const [byte = 0] = this.#next(1);
      value += (byte % 128) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  }

  #next(length: number): Buffer {
    const from = this.#smallAt;
    this.#smallAt += length;
    if (this.#smallAt > this.#small.length) throw new RangeError('a column ends too early');
    return this.#small.subarray(from, this.#smallAt);
  }

  #row(length: number): Buffer {
    const from = this.#rowAt;
    this.#rowAt += length;
    if (this.#rowAt > this.#bytes.length) throw new RangeError('a column ends too early');
    return this.#bytes.subarray(from, this.#rowAt);
  }
}

function numbersOf(parts: readonly string[]): string[] {
  return parts.filter((_, at) => at % 2 === 1);
}

/** The smallest of the numbers, and how far each is above it, in the largest unit that divides all of these. */
function reduce(numbers: readonly number[]): { least: number; unit: number; values: readonly number[] } {
  const least = numbers.reduce((lowest, value) => Math.min(lowest, value), numbers[0] ?? 0);
  const above = numbers.map((value) => value - least);
  const unit = above.reduce((common, value) => divisor(common, value), 0) || 1;
  return { least, unit, values: above.map((value) => value / unit) };
}

/** The greatest common divisor. */
function divisor(one: number, other: number): number {
  let [greater, less] = [one, other];
  while (less > 0) [greater, less] = [less, greater % less];
  return greater;
}

/** Maps small numbers of either sign to small positive ones. */
function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

function bytesOf(value: number): number {
  let bytes = 0;
  for (let rest = value; rest >= 1; rest = Math.floor(rest / 256)) bytes += 1;
  return bytes;
}

/** Approximate size of the numbers. */
function bits(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + Math.log2(value + 1), 0);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
