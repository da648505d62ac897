import { brotliDecompressSync } from 'node:zlib';

/** A ledger of a million instances is smaller than this when it is unpacked. */
const maxUnpackedBytes = 256 * 1024 * 1024;

/**
 * The columns of a folded ledger, with a value for each instance. Some contain numbers of values in `series`,
 * `deliveries` and `notes`.
 */
export interface Columns {
  readonly fields: readonly string[];
  readonly versions: readonly string[];
  /** -1 where only the hash of a version is known. */
  readonly ofSeries: readonly number[];
  readonly times: readonly number[];
  readonly attempts: readonly number[];
  readonly ofDelivery: readonly number[];
  readonly ofNote: readonly number[];
  readonly series: readonly (string | null)[];
  readonly deliveries: readonly string[];
  readonly notes: readonly string[];
}

/** Texts without the prefix that each shares with the previous one. */
interface Shortened {
  readonly common: readonly number[];
  readonly rest: readonly string[];
}

/** Columns as they were written until 2026-11-30: JSON in brotli, with times as differences. */
export function readFormat1(packed: Buffer): Columns {
  const text = brotliDecompressSync(packed, { maxOutputLength: maxUnpackedBytes });
  const { fields, versions, at, attempt, ...others } = JSON.parse(text.toString()) as Omit<
    Columns,
    'fields' | 'versions' | 'times' | 'attempts'
  > & {
    readonly fields: Shortened;
    readonly versions: Shortened;
    readonly at: readonly number[];
    readonly attempt: readonly number[];
  };
  let time = 0;
  return {
    ...others,
    fields: lengthen(fields),
    versions: lengthen(versions),
    times: at.map((difference) => (time += difference)),
    attempts: attempt,
  };
}

function lengthen({ common, rest }: Shortened): string[] {
  let before = '';
  return rest.map((text, index) => (before = before.slice(0, common[index]) + text));
}
