import { Budget, type FoundPlaces } from './index-search.ts';
import type { Place } from './walk-index.ts';

export interface Limits {
  /** How many are wanted. */
  readonly limit: number;
  /** `next` of the page before. */
  readonly after?: Place | undefined;
  /** After this long what was found so far is given. Default: no end. */
  readonly budgetMs?: number | undefined;
}

export interface Found<T> {
  readonly records: readonly T[];
  /** Where the next page begins; undefined when nothing follows. */
  readonly next: Place | undefined;
  /** The search ended early, so that somebody gets an answer: how far back it came (ms since 1970). */
  readonly searchedTo: number | undefined;
}

/**
 * Reads what an index says until there are enough, or time is up.
 *
 * @param read - gives the record of each place, or undefined where it is not meant after all
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
      // One more than is wanted, so that "next" is there only when something follows.
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
