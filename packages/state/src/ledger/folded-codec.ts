import { brotliCompress, brotliDecompress, constants } from 'node:zlib';
import { promisify } from 'node:util';
import { versionHash } from './entry-codec.ts';

const compress = promisify(brotliCompress);
const decompress = promisify(brotliDecompress);
const format = 1;
/** A ledger of a million instances is smaller than this when it is unpacked. */
const maxUnpackedBytes = 256 * 1024 * 1024;
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
 * Columns, which compress far better than rows: texts without the prefix shared with the previous one, times as
 * differences, series, deliveries and notes as numbers. The parts of a version take one byte, its hash would take six.
 */
interface Columns {
  readonly fields: Shortened;
  readonly versions: Shortened;
  readonly series: readonly (string | null)[];
  readonly deliveries: readonly string[];
  readonly notes: readonly string[];
  /** -1 if only the hash is known: the hashes follow, in the same order. */
  readonly ofSeries: readonly number[];
  readonly at: readonly number[];
  readonly attempt: readonly number[];
  readonly ofDelivery: readonly number[];
  readonly ofNote: readonly number[];
}

interface Shortened {
  readonly common: readonly number[];
  readonly rest: readonly string[];
}

/** `format (1 byte), length of the columns (4 bytes), columns in brotli, hashes of 6 bytes`. */
export async function encodeFolded(entries: readonly FoldedEntry[]): Promise<Buffer> {
  const series = new Numbers<string | null>();
  const deliveries = new Numbers<string>();
  const notes = new Numbers<string>();
  const columns: Columns = {
    fields: shorten(entries.map(({ field }) => field)),
    versions: shorten(entries.map(({ of }) => of?.version ?? '')),
    ofSeries: entries.map(({ of }) => (of ? series.of(of.seriesInstanceUid ?? null) : -1)),
    at: entries.map(({ at }, index) => at - (entries[index - 1]?.at ?? 0)),
    attempt: entries.map(({ attempt }) => attempt),
    ofDelivery: entries.map(({ delivery }) => deliveries.of(delivery)),
    ofNote: entries.map(({ note }) => notes.of(note)),
    series: series.values,
    deliveries: deliveries.values,
    notes: notes.values,
  };
  const text = Buffer.from(JSON.stringify(columns));
  const packed = await compress(text, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 7, [constants.BROTLI_PARAM_SIZE_HINT]: text.length },
  });
  const head = Buffer.alloc(5);
  head.writeUInt8(format, 0);
  head.writeUInt32BE(packed.length, 1);
  const hashes = entries
    .filter(({ of }) => of === undefined)
    .map((entry) => Buffer.from(entry.versionHash, 'base64url'));
  return Buffer.concat([head, packed, ...hashes]);
}

/** @throws Error for an unknown format: no instance may be sent again because of it */
export async function decodeFolded(bytes: Buffer): Promise<FoldedEntry[]> {
  if (bytes.length < 5 || bytes.readUInt8(0) !== format) throw new Error('a folded ledger cannot be read');
  let hashAt = 5 + bytes.readUInt32BE(1);
  const text = await decompress(bytes.subarray(5, hashAt), { maxOutputLength: maxUnpackedBytes });
  const columns = JSON.parse(text.toString()) as Columns;
  const fields = lengthen(columns.fields);
  const versions = lengthen(columns.versions);
  let at = 0;
  return fields.map((field, index): FoldedEntry => {
    const number = columns.ofSeries[index] ?? -1;
    const of =
      number < 0
        ? undefined
        : { seriesInstanceUid: columns.series[number] ?? undefined, version: versions[index] ?? '' };
    at += columns.at[index] ?? 0;
    let hash: string;
    if (of) hash = versionHash(of.version, of.seriesInstanceUid);
    else hash = bytes.toString('base64url', hashAt, (hashAt += hashBytes));
    return {
      field,
      of,
      versionHash: hash,
      attempt: columns.attempt[index] ?? 0,
      at,
      delivery: columns.deliveries[columns.ofDelivery[index] ?? 0] ?? '',
      note: columns.notes[columns.ofNote[index] ?? 0] ?? '',
    };
  });
}

function shorten(texts: readonly string[]): Shortened {
  const common: number[] = [];
  const rest: string[] = [];
  let before = '';
  for (const text of texts) {
    let same = 0;
    while (same < text.length && text[same] === before[same]) same += 1;
    common.push(same);
    rest.push(text.slice(same));
    before = text;
  }
  return { common, rest };
}

function lengthen({ common, rest }: Shortened): string[] {
  let before = '';
  return rest.map((text, index) => (before = before.slice(0, common[index]) + text));
}

/** Values by the number of their first use. */
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
