import { performance } from 'node:perf_hooks';
import type { Redis } from 'ioredis';
import { isAfter, walkIndex, type Place } from './walk-index.ts';

/**
 * Sorted sets that together contain exactly the members that match one part of a filter; each member is in one of them.
 * All parts of a filter have the same scores.
 */
export type Part = readonly string[];

export interface Window {
  /** Lowest score, inclusive. */
  readonly lowest?: number | undefined;
  /** Highest score, exclusive. */
  readonly below?: number | undefined;
}

export interface FoundPlaces {
  readonly found: readonly Place[];
  /** The last checked place, matching or not. */
  readonly last: Place;
}

const largestBatch = 4_000;

/**
 * Members that match every part, highest score first: iterates over the smallest part, and looks its members up in the
 * others. No records are read, so a filter with few or no matches is cheap even with a long history.
 *
 * @param batch - maximum number of results per batch if there is only one part
 */
export async function* searchIndex(
  redis: Redis,
  parts: readonly Part[],
  options: Window & { readonly after?: Place | undefined; readonly batch: number },
): AsyncGenerator<FoundPlaces, void, undefined> {
  const sizes = await Promise.all(parts.map((part) => countPart(redis, part, options)));
  const smallest = sizes.indexOf(Math.min(...sizes));
  const walked = parts[smallest] ?? [];
  const others = parts.filter((_, index) => index !== smallest);
  const batch = others.length === 0 ? options.batch : largestBatch;
  const after = startOf(options);
  for await (const places of walkIndex(redis, walked, { after, lowest: options.lowest, batch })) {
    const last = places.at(-1);
    if (last) yield { found: await inAll(redis, places, others), last };
  }
}

/** Those of some members that are in every part, the highest score first. */
export async function searchAmong(
  redis: Redis,
  members: readonly string[],
  parts: readonly Part[],
  { lowest = 0, below = Number.POSITIVE_INFINITY, after }: Window & { readonly after?: Place | undefined },
): Promise<Place[]> {
  const places: Place[] = [];
  for (let from = 0; from < members.length; from += largestBatch) {
    const batch = members.slice(from, from + largestBatch);
    const scores = await Promise.all(
      parts.map(async (part) => {
        const lists = await Promise.all(part.map((key) => redis.zmscore(key, ...batch)));
        return batch.map((_, index) => lists.map((list) => list[index] ?? null).find((score) => score !== null));
      }),
    );
    for (const [index, member] of batch.entries()) {
      const found = scores.map((list) => list[index]);
      if (!found.includes(undefined)) places.push({ member, score: Number(found[0]) });
    }
  }
  return places
    .filter((place) => place.score >= lowest && place.score < below && (!after || isAfter(place, after)))
    .toSorted((one, other) => (isAfter(one, other) ? 1 : -1));
}

/** How many members are in every part. */
export async function countIndex(redis: Redis, parts: readonly Part[], window: Window): Promise<number> {
  const [only] = parts;
  if (only && parts.length === 1) return countPart(redis, only, window);
  let count = 0;
  for await (const { found } of searchIndex(redis, parts, { ...window, batch: largestBatch })) count += found.length;
  return count;
}

async function countPart(redis: Redis, part: Part, { lowest, below }: Window): Promise<number> {
  const highest = below === undefined ? '+inf' : `(${below}`;
  const counts = await Promise.all(part.map((key) => redis.zcount(key, lowest ?? '-inf', highest)));
  return counts.reduce((sum, count) => sum + count, 0);
}

async function inAll(redis: Redis, places: readonly Place[], parts: readonly Part[]): Promise<Place[]> {
  const members = places.map(({ member }) => member);
  const isIn = await Promise.all(
    parts.map(async (part) => {
      const scores = await Promise.all(part.map((key) => redis.zmscore(key, ...members)));
      return (index: number) => scores.some((list) => list[index] !== null);
    }),
  );
  return places.filter((_, index) => isIn.every((test) => test(index)));
}

/** No member sorts before the empty one: everything from this score on is excluded. */
function startOf({ after, below }: Window & { readonly after?: Place | undefined }): Place | undefined {
  if (below === undefined || (after && after.score < below)) return after;
  return { score: below, member: '' };
}

/** Ends a slow search, so that a page shows the results so far. */
export class Budget {
  readonly #until: number;

  constructor(ms: number) {
    this.#until = performance.now() + ms;
  }

  get isSpent(): boolean {
    return performance.now() >= this.#until;
  }
}
