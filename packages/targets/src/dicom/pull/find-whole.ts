import type { Association } from 'dicom-dimse';
import type { DataSet } from 'dicom-dimse/dataset';
import { findMatches } from './find-matches.ts';
import { textOf } from './texts.ts';

export interface WholeQuery {
  readonly query: DataSet;
  /** The keyword of the UID by which matches are distinguished. */
  readonly uid: 'SeriesInstanceUID' | 'SOPInstanceUID';
  /** The keyword of a number that every archive must support in queries (PS3.4 tables C.6-3 and C.6-4: required keys). */
  readonly number: 'SeriesNumber' | 'InstanceNumber';
  /** The number of matches that the receiver reports; undefined if it does not. */
  readonly expected: number | undefined;
}

export interface Whole {
  readonly found: ReadonlyMap<string, DataSet>;
  /** How many exist in addition to those found; undefined if the list may be incomplete and the number is unknown. */
  readonly missing: number | undefined;
}

/**
 * All matches of a query, even if the receiver limits its results: missing ones are queried by number, first by the listed numbers
 * and their neighbours, then by 0, 1, 2 and so on.
 */
export async function findWhole(
  association: Association,
  { query, uid, number, expected }: WholeQuery,
  signal: AbortSignal,
): Promise<Whole> {
  const found = new Map<string, DataSet>();
  let isNameless = false;
  const take = (matches: readonly DataSet[]): readonly number[] =>
    matches.flatMap((match) => {
      const key = textOf(match[uid]) ?? '';
      isNameless ||= key === '';
      if (key === '' || found.has(key)) return [];
      found.set(key, match);
      const value = Number(textOf(match[number]) || Number.NaN);
      return Number.isSafeInteger(value) ? [value] : [];
    });

  const first = await findMatches(association, { ...query, [number]: '' }, signal);
  const numbers = take(first.found);
  if (expected === undefined) return { found, missing: first.cut === undefined && !isNameless ? 0 : undefined };

  const asked = new Set<number>();
  const toAsk = [...numbers];
  // Numbers of most series begin at 1; those that do not are reached from their neighbours.
  let next = 0;
  while (found.size < expected && asked.size < 2 * expected + 10) {
    const value = toAsk.shift() ?? next++;
    if (asked.has(value)) continue;
    asked.add(value);
    const { found: some } = await findMatches(association, { ...query, [number]: String(value) }, signal);
    const isThere = take(some).length > 0 || numbers.includes(value);
    if (isThere) toAsk.push(value + 1, value - 1);
  }
  return { found, missing: Math.max(0, expected - found.size) };
}
