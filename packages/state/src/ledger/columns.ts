import { brotliCompressSync, brotliDecompressSync, constants, deflateRawSync, inflateRawSync } from 'node:zlib';

/** Digits of one number. */
const digits = /(\d{1,15})/;
/** Texts with more forms have little in common: they are written as JSON. */
const maxForms = 64;
/** A column of this number of bytes is compressed separately. */
const ownCodeBytes = 64;
/** The small parts of a ledger of a million instances are smaller than this. */
const maxHeadBytes = 256 * 1024 * 1024;

/** The text around the numbers, and the width of each number with leading zeros; 0 without. */
type Form = readonly [literals: readonly string[], widths: readonly number[]];

/**
 * Writes the columns of a table in a compact form: numbers as differences, or above the smallest one, all their lowest
 * bytes first; texts as the text around their numbers, once, and these numbers. `ColumnReader` reads them in the same
 * order.
 */
export class ColumnWriter {
  /** Small parts are compressed together, each long row of bytes by itself. */
  readonly #small: Buffer[] = [];
  readonly #rows: Buffer[] = [];

  /** `length of the small parts, these in brotli, then length and bytes of each row in deflate`; lengths are 4 bytes. */
  get bytes(): Buffer {
    const small = Buffer.concat(this.#small);
    const parts = [brotliCompressSync(small, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } })];
    for (const row of this.#rows) parts.push(deflateRawSync(row, { level: 9 }));
    return Buffer.concat(parts.flatMap((part) => [uint32(part.length), part]));
  }

  /** @param values - integers that are 1e15 at most, as are their differences */
  numbers(values: readonly number[]): this {
    const lowest = values.reduce((least, value) => Math.min(least, value), values[0] ?? 0);
    const above = values.map((value) => value - lowest);
    const differences = values.map((value, at) => zigzag(at === 0 ? 0 : value - (values[at - 1] ?? 0)));
    const byDifference = bits(differences) < bits(above);
    const stored = byDifference ? differences : above;
    const width = bytesOf(stored.reduce((most, value) => Math.max(most, value), 0));
    const first = zigzag(byDifference ? (values[0] ?? 0) : lowest);
    const head = [byDifference ? 1 : 0, width, bytesOf(first)];
    for (let rest = first; rest >= 1; rest = Math.floor(rest / 256)) head.push(rest % 256);
    this.#small.push(Buffer.from(head));
    for (let byte = 0, scale = 1; byte < width; byte += 1, scale *= 256) {
      const row = Buffer.from(stored.map((value) => Math.floor(value / scale) % 256));
      (row.length < ownCodeBytes ? this.#small : this.#rows).push(row);
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
    this.#small.push(uint32(text.length), text);
    return this;
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

function numbersOf(parts: readonly string[]): string[] {
  return parts.filter((_, at) => at % 2 === 1);
}

/** Maps small numbers of either sign to small positive ones. */
function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** The number that consists of these bytes, the lowest first. */
function integer(bytes: readonly number[]): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

function bytesOf(value: number): number {
  let bytes = 0;
  for (let rest = value; rest >= 1; rest /= 256) bytes += 1;
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
