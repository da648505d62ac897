import { ColumnReader, ColumnWriter } from './columns.ts';
import { versionHash } from './entry-codec.ts';
import { readFormat1, type Columns } from './folded-format-1.ts';
import { readFormat2 } from './folded-format-2.ts';

/** Format 1 was written until format 4 of the data, format 2 until its format 7. */
const format = 3;
const readers = new Map([
  [1, readFormat1],
  [2, readFormat2],
  [format, readColumns],
]);
/** 8 characters of base64url. */
const hashBytes = 6;

/** A delivered instance in a folded ledger. */
export interface FoldedEntry {
  /** As in the hashes (`encodeField`). */
  readonly field: string;
  /** Series and version from which its `versionHash` is computed; undefined if unknown. */
  readonly of: { readonly seriesInstanceUid: string | undefined; readonly version: string } | undefined;
  readonly versionHash: string;
  readonly attempt: number;
  /** ms since 1970. */
  readonly at: number;
  readonly delivery: string;
  /** As in the hash of notes; '' without a note. */
  readonly note: string;
}

/**
 * Format (1 byte), length of the columns (4 bytes, big-endian), columns (`ColumnWriter`), hashes of 6 bytes.
 *
 * Columns compress far better than rows: series, deliveries and notes are numbers. The parts of a version take a byte
 * or two, its hash would take six.
 */
export function encodeFolded(entries: readonly FoldedEntry[]): Buffer {
  const series = new Numbers<string | null>();
  const deliveries = new Numbers<string>();
  const notes = new Numbers<string>();
  // -1 if only the hash is known: the hashes follow, in the same order.
  const ofSeries = entries.map(({ of }) => (of ? series.of(of.seriesInstanceUid ?? null) : -1));
  const ofDelivery = entries.map(({ delivery }) => deliveries.of(delivery));
  const ofNote = entries.map(({ note }) => notes.of(note));
  const table: Table = [entries.length, series.values, deliveries.values, notes.values];
  const { bytes: packed } = new ColumnWriter()
    .json(table)
    .texts(entries.map(({ field }) => field))
    .texts(entries.map(({ of }) => of?.version ?? ''))
    .numbers(ofSeries)
    .numbers(entries.map(({ at }) => at))
    .numbers(entries.map(({ attempt }) => attempt))
    .numbers(ofDelivery)
    .numbers(ofNote);
  const head = Buffer.alloc(5);
  head.writeUInt8(format, 0);
  head.writeUInt32BE(packed.length, 1);
  const hashes = entries
    .filter(({ of }) => of === undefined)
    .map((entry) => Buffer.from(entry.versionHash, 'base64url'));
  return Buffer.concat([head, packed, ...hashes]);
}

/** @throws Error for an unknown format: if it counted as empty, all instances would be sent again */
export function decodeFolded(bytes: Buffer): FoldedEntry[] {
  const read = readers.get(bytes.length < 5 ? 0 : bytes.readUInt8(0));
  if (!read) throw new Error('a folded ledger cannot be read');
  let hashAt = 5 + bytes.readUInt32BE(1);
  const columns = read(bytes.subarray(5, hashAt));
  return columns.fields.map((field, index): FoldedEntry => {
    const number = columns.ofSeries[index] ?? -1;
    const of =
      number < 0
        ? undefined
        : { seriesInstanceUid: columns.series[number] ?? undefined, version: columns.versions[index] ?? '' };
    let hash: string;
    if (of) hash = versionHash(of.version, of.seriesInstanceUid);
    else hash = bytes.toString('base64url', hashAt, (hashAt += hashBytes));
    return {
      field,
      of,
      versionHash: hash,
      attempt: columns.attempts[index] ?? 0,
      at: columns.times[index] ?? 0,
      delivery: columns.deliveries[columns.ofDelivery[index] ?? 0] ?? '',
      note: columns.notes[columns.ofNote[index] ?? 0] ?? '',
    };
  });
}

type Table = readonly [
  count: number,
  series: readonly (string | null)[],
  deliveries: readonly string[],
  notes: readonly string[],
];

function readColumns(bytes: Buffer): Columns {
  const reader = new ColumnReader(bytes);
  const [count, series, deliveries, notes] = reader.json() as Table;
  const columns: Columns = {
    series,
    deliveries,
    notes,
    fields: reader.texts(count),
    versions: reader.texts(count),
    ofSeries: reader.numbers(count),
    times: reader.numbers(count),
    attempts: reader.numbers(count),
    ofDelivery: reader.numbers(count),
    ofNote: reader.numbers(count),
  };
  reader.end();
  return columns;
}

/** Numbers values in the order of their first use. */
class Numbers<T> {
  readonly values: T[] = [];
  readonly #numbers = new Map<T, number>();

  of(value: T): number {
    const known = this.#numbers.get(value);
    if (known !== undefined) return known;
    this.#numbers.set(value, this.values.length);
    return this.values.push(value) - 1;
  }
}
