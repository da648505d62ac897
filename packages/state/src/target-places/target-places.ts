import { describePlace, DispatchError, targetPlace, type TargetConfig, type TargetPlace } from '@dicom-dispatch/core';
import { redisKeys } from '../keys/index.ts';
import { defineScript, withDeadline, type RedisClient } from '../redis/index.ts';
import { findPlace, nextLedger, type FoundPlace, type KnownPlace, type Places } from './find-place.ts';

/**
 * - `known`: its confirmations are in `ledger`
 * - `undecided`: the target has moved, and no operator has decided whether its contents have moved too
 */
export type PlaceVerdict =
  | { readonly kind: 'known'; readonly ledger: string; readonly place: TargetPlace }
  | { readonly kind: 'undecided'; readonly place: TargetPlace; readonly was: KnownPlace };

/** Result of `register`. */
export type Registered = PlaceVerdict & {
  /** Whether something was written: it is seen for the first time, is back, or has a new address under its identity. */
  readonly isNew: boolean;
};

/** `same`: the contents moved too, the ledger is kept. `new`: another place, for which a new ledger begins. */
export type PlaceDecision = 'same' | 'new';

const timeoutMs = 10_000;
const maxTries = 50;

/**
 * The places are stored twice: if they were lost alone, confirmations of another place would count for the current one.
 * KEYS: places, copies of all targets. ARGV: target. Returns the places, or ''.
 */
const readScript = defineScript(`
local known, copy = redis.call('GET', KEYS[1]), redis.call('HGET', KEYS[2], ARGV[1])
if known and copy ~= known then redis.call('HSET', KEYS[2], ARGV[1], known) end
if copy and not known then redis.call('SET', KEYS[1], copy) end
return known or copy or ''
`);

/**
 * KEYS: places, copies of all targets. ARGV: the value that was read, or '' for none; the new value; target. Returns 1 if it
 * was written.
 */
const exchangeScript = defineScript(`
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[2])
return 1
`);

/**
 * The place of a target at which the confirmations in its ledger were made. A configuration with another address is
 * another place until an operator decides that the contents are the same: until then nothing is confirmed there. Each
 * process uses the place of the configuration that it has loaded, so one that has not been reloaded continues with the
 * former place. Every method throws DispatchError `ledger-unavailable` if Redis fails or does not respond.
 */
export class TargetPlaces {
  readonly #redis: RedisClient;
  readonly #prefix: string;

  constructor(redis: RedisClient, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  /** All ledgers of a target, including the first one if nothing is stored yet. */
  async ledgers(target: string): Promise<string[]> {
    const { places } = await this.#read(target);
    return [...new Set([target, ...places.map(({ ledger }) => ledger)])];
  }

  /** The known places of a target, current and former ones. */
  async known(target: string): Promise<Places> {
    return this.#read(target);
  }

  /** The verdict on a configuration; changes nothing. A target that was never used has its first ledger. */
  async look(target: string, config: TargetConfig): Promise<PlaceVerdict> {
    const places = await this.#read(target);
    return verdictOf(findPlace(target, places, targetPlace(config)), places);
  }

  /** Takes a configuration into use: stores its place, unless an operator must decide. */
  async register(target: string, config: TargetConfig): Promise<Registered> {
    return this.#exchange(target, (places) => {
      const found = findPlace(target, places, targetPlace(config));
      if (found.kind === 'undecided') return [undefined, { ...verdictOf(found, places), isNew: false }];
      const isNew = found.kind === 'new' || found.isChanged || places.current !== found.known.ledger;
      const next = isNew ? withPlace(places, found.known) : undefined;
      return [next, { ...verdictOf(found, places), isNew }];
    });
  }

  /**
   * Decides on a target that has moved.
   *
   * @returns the ledger from now on; undefined if there is nothing to decide
   */
  async decide(target: string, config: TargetConfig, decision: PlaceDecision): Promise<string | undefined> {
    return this.#exchange(target, (places) => {
      const found = findPlace(target, places, targetPlace(config));
      if (found.kind !== 'undecided') return [undefined, undefined];
      const current = currentOf(places);
      const ledger = decision === 'same' && current ? current.ledger : nextLedger(target, places.places);
      return [withPlace(places, { ...found.place, ledger, since: Date.now() }), ledger];
    });
  }

  async #exchange<T>(
    target: string,
    change: (places: Places) => readonly [next: Places | undefined, answer: T],
  ): Promise<T> {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const text = await this.#readText(target);
      const [next, answer] = change(parse(text));
      if (!next) return answer;
      const args = [text, JSON.stringify(next), target];
      if ((await ask(exchangeScript.run(this.#redis, this.#keys(target), args))) === 1) return answer;
    }
    throw new DispatchError('ledger-unavailable', 'the places of a target are changed by others repeatedly');
  }

  async #read(target: string): Promise<Places> {
    return parse(await this.#readText(target));
  }

  /** Empty if nothing is known. */
  async #readText(target: string): Promise<string> {
    return String(await ask(readScript.run(this.#redis, this.#keys(target), [target])));
  }

  #keys(target: string): readonly [string, string] {
    const keys = redisKeys(this.#prefix);
    return [keys.places(target), keys.placesOfAll];
  }
}

/** Description of a moved target for operators, in one sentence. */
export function describeMove(target: string, { place, was }: Extract<PlaceVerdict, { kind: 'undecided' }>): string {
  return `${target} was ${describePlace(was)} and is now ${describePlace(place)}. Its deliveries wait until you decide: run "dispatch target same ${target}" if the content is the same, or "dispatch target new ${target}" if it is another place`;
}

function verdictOf(found: FoundPlace, places: Places): PlaceVerdict {
  if (found.kind === 'undecided') {
    return { kind: 'undecided', place: found.place, was: currentOf(places) ?? found.was };
  }
  const { ledger, since: _, ...place } = found.known;
  return { kind: 'known', ledger, place };
}

function currentOf({ current, places }: Places): KnownPlace | undefined {
  return places.find(({ ledger }) => ledger === current);
}

/** A ledger belongs to one place: the previous owner has moved there. */
function withPlace({ places }: Places, place: KnownPlace): Places {
  return { current: place.ledger, places: [...places.filter(({ ledger }) => ledger !== place.ledger), place] };
}

function parse(text: string): Places {
  return text === '' ? { current: undefined, places: [] } : (JSON.parse(text) as Places);
}

async function ask<T>(answer: Promise<T>): Promise<T> {
  try {
    return await withDeadline(answer, timeoutMs);
  } catch (cause) {
    throw new DispatchError('ledger-unavailable', 'Redis did not answer for the place of a target', { cause });
  }
}
