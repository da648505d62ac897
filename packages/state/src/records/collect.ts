import { Budget, type FoundPlaces } from './index-search.ts';
import type { Place } from './walk-index.ts';

export interface Limits {
  /** Maximum number of records. */
  readonly limit: number;
  /** `next` of the previous page. */
  readonly after?: Place | undefined;
  /** After this time the results so far are returned. Default: no limit. */
  readonly budgetMs?: number | undefined;
}

export interface Found<T> {
  readonly records: readonly T[];
  /** Start of the next page; undefined if there is none. */
  readonly next: Place | undefined;
  /** The search ended early to return a response: the time that it has reached (ms since 1970). */
  readonly searchedTo: number | undefined;
}

/**
 * Reads records through an index until there are enough, or the time limit is reached.
 *
 * @param read - returns the record of each place, or undefined if it does not match
 */
export async function collect<T>(
  batches: AsyncIterable<FoundPlaces>,
  read: (places: readonly Place[]) => Promise<readonly (T | undefined)[]>,
  { limit, budgetMs = Number.POSITIVE_INFINITY }: Limits,
): Promise<Found<T>> {
  const budget = new Budget(budgetMs);
  const records: T[] = [];
  let lastTaken: Place | undefined;
  for await (const { found, last } of batches) {
    for (let from = 0; from < found.length;) {
      // One more than wanted, so that "next" is only present if there is more.
      const places = found.slice(from, from + limit - records.length + 1);
      from += places.length;
      for (const [index, record] of (await read(places)).entries()) {
        if (record === undefined) continue;
        if (records.length === limit) return { records, next: lastTaken, searchedTo: undefined };
        records.push(record);
        lastTaken = places[index];
      }
    }
    if (budget.isSpent) return { records, next: last, searchedTo: last.score };
  }
  return { records, next: undefined, searchedTo: undefined };
}
