import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import type { DeliveryState } from '../records/record-types.ts';
import { defineScript } from '../redis/script.ts';
import { bucketOf, type DurationCounts, type Timed } from './durations.ts';

const minuteMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 86_400_000;

/** Each kind of period, its length, and how long its numbers are kept. */
const spans = {
  minute: { ms: minuteMs, keptSeconds: 2 * 86_400 },
  hour: { ms: hourMs, keptSeconds: 8 * 86_400 },
  durationsOfHour: { ms: hourMs, keptSeconds: 3 * 3_600 },
  durationsOfDay: { ms: dayMs, keptSeconds: 9 * 86_400 },
} as const;
type Span = keyof typeof spans;

/**
 * KEYS: hashes
 * ARGV: number of seconds for which each is kept, then index of a key, field and amount of each number
 */
const addScript = defineScript(`
for i = #KEYS + 1, #ARGV, 3 do redis.call('HINCRBY', KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2]) end
for i = 1, #KEYS do redis.call('EXPIRE', KEYS[i], ARGV[i]) end
return 1
`);

/** What was sent to a target in one minute or hour. */
export interface TargetFlow {
  readonly bytes: number;
  /** Deliveries that ended, by state. */
  readonly ended: Readonly<Partial<Record<DeliveryState, number>>>;
}

/**
 * Numbers of each target for the console, in a limited number of hashes: bytes and ended deliveries per minute (two
 * days) and per hour (eight days), durations per hour (three hours) and per day (nine days).
 */
export class TargetStats {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  async bytes(target: string, bytes: number, now = Date.now()): Promise<void> {
    if (bytes > 0) await this.#add(target, now, [['minute', 'hour'], [['bytes', bytes]]]);
  }

  /** @param durationsMs - of the attempt that ended it, if it was successful */
  async ended(
    target: string,
    state: DeliveryState,
    durationsMs: ReadonlyMap<Timed, number> = new Map(),
    now = Date.now(),
  ): Promise<void> {
    const counted = [...durationsMs].map(([timed, ms]): [string, number] => [`${timed} ${bucketOf(ms)}`, 1]);
    await this.#add(target, now, [['minute', 'hour'], [[state, 1]]], [['durationsOfHour', 'durationsOfDay'], counted]);
  }

  /** What was sent to a target in each of the last `count` minutes or hours, the oldest first. */
  async flow(target: string, span: 'minute' | 'hour', count: number, now = Date.now()): Promise<TargetFlow[]> {
    return (await this.#read(target, span, count, now)).map((fields) => {
      const { bytes = '0', ...ended } = fields;
      return {
        bytes: Number(bytes),
        ended: Object.fromEntries(Object.entries(ended).map(([state, ends]) => [state, Number(ends)])),
      };
    });
  }

  /** Durations of this hour and the one before. */
  async recentDurations(target: string, now = Date.now()): Promise<Map<Timed, DurationCounts>> {
    return sumUp(await this.#read(target, 'durationsOfHour', 2, now));
  }

  /** Durations of the seven days (UTC) before today. */
  async usualDurations(target: string, now = Date.now()): Promise<Map<Timed, DurationCounts>> {
    return sumUp(await this.#read(target, 'durationsOfDay', 7, now - dayMs));
  }

  /** When the data of {@link recentDurations} begin (ms since 1970). */
  static recentSince(now = Date.now()): number {
    return (Math.floor(now / hourMs) - 1) * hourMs;
  }

  async #add(
    target: string,
    now: number,
    ...parts: readonly (readonly [readonly Span[], readonly (readonly [string, number])[]])[]
  ): Promise<void> {
    const filled = parts.filter(([, numbers]) => numbers.length > 0);
    const keys = filled.flatMap(([of]) => of);
    const numbers = filled.flatMap(([of, list]) =>
      of.flatMap((span) => list.flatMap(([field, amount]) => [keys.indexOf(span) + 1, field, Math.round(amount)])),
    );
    await addScript.run(
      this.#redis,
      keys.map((span) => this.#key(target, span, Math.floor(now / spans[span].ms))),
      [...keys.map((span) => spans[span].keptSeconds), ...numbers],
    );
  }

  async #read(target: string, span: Span, count: number, now: number): Promise<Record<string, string>[]> {
    const end = Math.floor(now / spans[span].ms) + 1;
    const pipeline = this.#redis.pipeline();
    for (let at = end - count; at < end; at += 1) pipeline.hgetall(this.#key(target, span, at));
    return ((await pipeline.exec()) ?? []).map(([error, fields]) => {
      if (error) throw error;
      return fields as Record<string, string>;
    });
  }

  #key(target: string, span: Span, at: number): string {
    const keys = redisKeys(this.#prefix);
    switch (span) {
      case 'minute':
        return keys.stats(target, at);
      case 'hour':
        return keys.statsOfHour(target, at);
      case 'durationsOfHour':
        return keys.durationsOfHour(target, at);
      case 'durationsOfDay':
        return keys.durationsOfDay(target, at);
    }
  }
}

function sumUp(hashes: readonly Record<string, string>[]): Map<Timed, DurationCounts> {
  const sums = new Map<Timed, Map<number, number>>();
  for (const fields of hashes) {
    for (const [field, counted] of Object.entries(fields)) {
      const [timed, bucket] = field.split(' ') as [Timed, string];
      const counts = sums.get(timed) ?? new Map<number, number>();
      sums.set(timed, counts);
      counts.set(Number(bucket), (counts.get(Number(bucket)) ?? 0) + Number(counted));
    }
  }
  return sums;
}
