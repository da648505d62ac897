import type { Stage } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { countIndex, searchAmong, searchIndex, type FoundPlaces, type Part } from './index-search.ts';
import { deliveryStates, type DeliveryState } from './record-types.ts';
import type { Place } from './walk-index.ts';

/** A state, or `held`: held waiting deliveries. */
export const selectableStates = [...deliveryStates, 'held'] as const;
export type SelectableState = (typeof selectableStates)[number];

/** Filter for deliveries. Omitted fields match everything. */
export interface DeliverySelection {
  readonly state?: SelectableState | undefined;
  readonly target?: string | undefined;
  /** Where the last failed attempt ended. */
  readonly stage?: Stage | undefined;
  /** Code of the last error. */
  readonly code?: string | undefined;
  readonly rule?: string | undefined;
  readonly source?: string | undefined;
  /** Changed at or after, and before (ms since 1970). */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

const idsAtOnce = 4_000;

/** Number of deliveries to a target in a state with an error of a stage and a code. */
export interface ErrorGroup {
  readonly target: string;
  readonly state: DeliveryState;
  readonly stage: string;
  readonly code: string;
  readonly count: number;
}

/**
 * Sorted sets of ids of deliveries by their last change, under `<prefix>:index:`; the scripts of the records write them.
 *
 * - `state:STATE`, `target:TARGET:STATE`: each delivery in one of each
 * - `error:TARGET STATE STAGE CODE`: those with an error; `errors` is the set of these names
 * - `rule:RULE`, `source:SOURCE`
 * - `waiting:TARGET`: those that wait neither for an operator nor for their schedule, by `since`
 */
export class DeliveryIndex {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #heldKey: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = `${prefix}:index`;
    this.#heldKey = redisKeys(prefix).held;
  }

  /** Ids of matching deliveries, latest change first, in batches; a batch without a match is returned as well. */
  async *search(
    selection: DeliverySelection,
    options: { readonly after?: Place | undefined; readonly batch: number },
  ): AsyncGenerator<FoundPlaces, void, undefined> {
    const { since, until, state } = selection;
    const parts = await this.#parts(selection);
    const window = { lowest: since, below: until, after: options.after };
    if (state === 'held') {
      const found = await searchAmong(this.#redis, await this.#redis.smembers(this.#heldKey), parts, window);
      const last = found.at(-1);
      if (last) yield { found, last };
    } else yield* searchIndex(this.#redis, parts, { ...window, batch: options.batch });
  }

  async count(selection: DeliverySelection): Promise<number> {
    const { since, until, state } = selection;
    if (state === 'held') {
      let count = 0;
      for await (const { found } of this.search(selection, { batch: idsAtOnce })) count += found.length;
      return count;
    }
    return countIndex(this.#redis, await this.#parts(selection), { lowest: since, below: until });
  }

  async counts(target?: string): Promise<Record<DeliveryState, number>> {
    const counted = await Promise.all(
      deliveryStates.map(async (state) => [state, await this.#redis.zcard(this.#stateKey(state, target))] as const),
    );
    return Object.fromEntries(counted) as Record<DeliveryState, number>;
  }

  /** Number of deliveries that wait neither for an operator nor for their schedule. */
  async ready(target: string): Promise<number> {
    return this.#redis.zcard(`${this.#prefix}:waiting:${target}`);
  }

  /** Those of {@link ready} that have waited since before a time (ms since 1970), the oldest first. */
  async waitingLongest(target: string, before: number, limit: number, offset = 0): Promise<string[]> {
    return this.#redis.zrangebyscore(`${this.#prefix}:waiting:${target}`, '-inf', before, 'LIMIT', offset, limit);
  }

  /**
   * The earliest time of the last change among the deliveries in a state (ms since 1970); undefined if there are none.
   */
  async oldestIn(state: DeliveryState, target?: string): Promise<number | undefined> {
    const [, score] = await this.#redis.zrange(this.#stateKey(state, target), '0', '0', 'WITHSCORES');
    return score === undefined ? undefined : Number(score);
  }

  async errors(selection: Pick<DeliverySelection, 'target' | 'state' | 'stage' | 'code'> = {}): Promise<ErrorGroup[]> {
    const names = await this.#errorNames(selection);
    const groups = await Promise.all(
      names.map(async (name) => Object.assign(partsOf(name), { count: await this.#redis.zcard(this.#errorKey(name)) })),
    );
    return groups.filter(({ count }) => count > 0);
  }

  async #parts(selection: DeliverySelection): Promise<Part[]> {
    const { state, target, stage, code, rule, source } = selection;
    const parts: Part[] = [];
    if (rule !== undefined) parts.push([`${this.#prefix}:rule:${rule}`]);
    if (source !== undefined) parts.push([`${this.#prefix}:source:${source}`]);
    if (stage !== undefined || code !== undefined) {
      parts.push((await this.#errorNames(selection)).map((name) => this.#errorKey(name)));
    } else if (state !== undefined || target !== undefined || parts.length === 0) {
      const states = state === undefined ? deliveryStates : [indexedState(state)];
      parts.push(states.map((one) => this.#stateKey(one, target)));
    }
    return parts;
  }

  async #errorNames(selection: Pick<DeliverySelection, 'target' | 'state' | 'stage' | 'code'>): Promise<string[]> {
    const names = await this.#redis.smembers(`${this.#prefix}:errors`);
    return names.filter((name) => {
      const parts = partsOf(name);
      const { state, ...rest } = selection;
      if (state !== undefined && indexedState(state) !== parts.state) return false;
      return (['target', 'stage', 'code'] as const).every(
        (part) => rest[part] === undefined || rest[part] === parts[part],
      );
    });
  }

  #errorKey(name: string): string {
    return `${this.#prefix}:error:${name}`;
  }

  #stateKey(state: DeliveryState, target: string | undefined): string {
    return target === undefined ? `${this.#prefix}:state:${state}` : `${this.#prefix}:target:${target}:${state}`;
  }
}

/** The state whose index contains these deliveries: `waiting` for `held`. */
export function indexedState(state: SelectableState): DeliveryState {
  return state === 'held' ? 'waiting' : state;
}

function partsOf(name: string): Omit<ErrorGroup, 'count'> {
  const [target = '', state = '', stage = '', code = ''] = name.split(' ');
  return { target, state: state as DeliveryState, stage, code };
}
