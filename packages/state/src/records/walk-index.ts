import type { Redis } from 'ioredis';

/** A member of a sorted set. It is followed by lower scores, and at the same score by members that sort before it. */
export interface Place {
  readonly score: number;
  readonly member: string;
}

/** A place as text in a URL. */
export function placeText({ score, member }: Place): string {
  return `${score} ${member}`;
}

/** The place that a text represents; a number alone represents everything before that time. */
export function placeOf(text: string): Place {
  const space = text.indexOf(' ');
  return space < 0
    ? { score: Number(text), member: '' }
    : { score: Number(text.slice(0, space)), member: text.slice(space + 1) };
}

export interface WalkOptions {
  /** Where to continue; the place itself is excluded. */
  readonly after?: Place | undefined;
  /** Lower scores are excluded. */
  readonly lowest?: number | undefined;
  /** Maximum number of places per batch. */
  readonly batch: number;
}

interface Lane {
  readonly key: string;
  readonly buffer: Place[];
  after: Place | undefined;
  /** Whether nothing follows the buffered places. */
  isDry: boolean;
}

/** The places of several sorted sets, merged, highest score first. Each member is in one of them. */
export async function* walkIndex(
  redis: Redis,
  keys: readonly string[],
  options: WalkOptions,
): AsyncGenerator<Place[], void, undefined> {
  const lanes = keys.map((key): Lane => ({ key, buffer: [], after: options.after, isDry: false }));
  for (;;) {
    const batch: Place[] = [];
    while (batch.length < options.batch) {
      const starved = lanes.filter((lane) => lane.buffer.length === 0 && !lane.isDry);
      if (starved.length > 0) {
        await Promise.all(starved.map((lane) => refill(redis, lane, options)));
        continue;
      }
      const lane = highest(lanes);
      const place = lane?.buffer.pop();
      if (!place) break;
      batch.push(place);
    }
    if (batch.length === 0) return;
    yield batch;
  }
}

/** The set whose next place comes first; undefined if all are empty. Buffers end with the next place. */
function highest(lanes: readonly Lane[]): Lane | undefined {
  let best: Lane | undefined;
  for (const lane of lanes) {
    const next = lane.buffer.at(-1);
    const other = best?.buffer.at(-1);
    if (next && (!other || isAfter(other, next))) best = lane;
  }
  return best;
}

async function refill(redis: Redis, lane: Lane, { lowest, batch }: WalkOptions): Promise<void> {
  // Among members with the same score, those before the place are skipped.
  for (let offset = 0; ; offset += batch) {
    const flat = await redis.zrevrangebyscore(
      lane.key,
      lane.after?.score ?? '+inf',
      lowest ?? '-inf',
      'WITHSCORES',
      'LIMIT',
      offset,
      batch,
    );
    const places = toPlaces(flat);
    const { after } = lane;
    const fresh = after ? places.filter((place) => isAfter(place, after)) : places;
    lane.isDry = places.length < batch;
    if (fresh.length === 0 && !lane.isDry) continue;
    lane.after = fresh.at(-1) ?? after;
    lane.buffer.push(...fresh.toReversed());
    return;
  }
}

function toPlaces(flat: readonly string[]): Place[] {
  return Array.from({ length: flat.length / 2 }, (_, index) => ({
    member: flat[2 * index] ?? '',
    score: Number(flat[2 * index + 1]),
  }));
}

/** Whether a place comes after another one; members are ASCII, which Redis orders like JavaScript. */
export function isAfter(place: Place, other: Place): boolean {
  return place.score < other.score || (place.score === other.score && place.member < other.member);
}
