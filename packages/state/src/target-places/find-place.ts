import { firstId, type TargetPlace } from '@dicom-dispatch/core';

/** A place with its ledger. */
export interface KnownPlace extends TargetPlace {
  readonly ledger: string;
  /** ms since 1970 */
  readonly since: number;
}

export interface Places {
  /** Ledger of the address that was taken into use last. */
  readonly current: string | undefined;
  readonly places: readonly KnownPlace[];
}

export type FoundPlace =
  /** `isChanged`: with a new address or id, or an identity that it did not have before. */
  | { readonly kind: 'known'; readonly known: KnownPlace; readonly isChanged: boolean }
  /** The configuration itself shows that it is another place, or there was none before. */
  | { readonly kind: 'new'; readonly known: KnownPlace }
  | { readonly kind: 'undecided'; readonly place: TargetPlace; readonly was: KnownPlace };

/**
 * Finds a place. An identity in the configuration decides alone: the same identity is the same place with any address,
 * another one is another place. The first identity of a place is independent of its address: it is adopted if the
 * address is the same. A place that was stored with an id of an early version (`firstId`) gets the current id.
 */
export function findPlace(target: string, { current, places }: Places, place: TargetPlace): FoundPlace {
  const [last] = places.slice(-1);
  if (!last) return { kind: 'new', known: asKnown(target, place) };
  const inUse = places.find(({ ledger }) => ledger === current) ?? last;
  const ids = new Set([place.id, firstId(place)]);
  const atAddress = [inUse, ...places].filter(({ id }) => ids.has(id));
  if (place.identity === undefined) {
    const [known] = atAddress;
    if (!known) return { kind: 'undecided', place, was: inUse };
    return { kind: 'known', known: { ...known, ...place }, isChanged: known.id !== place.id };
  }
  const named = places.find(({ identity }) => identity === place.identity);
  if (named) return { kind: 'known', known: { ...named, ...place }, isChanged: named.id !== place.id };
  const unnamed = atAddress.find(({ identity }) => identity === undefined);
  if (unnamed) return { kind: 'known', known: { ...unnamed, ...place }, isChanged: true };
  if (inUse.identity === undefined) return { kind: 'undecided', place, was: inUse };
  return { kind: 'new', known: asKnown(nextLedger(target, places), place) };
}

function asKnown(ledger: string, place: TargetPlace): KnownPlace {
  return { ...place, ledger, since: Date.now() };
}

/** `~` is in no name of a target. */
export function nextLedger(target: string, places: readonly KnownPlace[]): string {
  if (places.length === 0) return target;
  return `${target}~${Math.max(...places.map(({ ledger }) => Number(ledger.split('~')[1] ?? 1))) + 1}`;
}
