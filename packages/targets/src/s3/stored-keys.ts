import { KeyedLocks } from '@dicom-dispatch/target-kit/flow';

/** Locks for the keys that deliveries of this process are writing. */
const locks = new KeyedLocks();
const active = new Map<string, Set<ActivePrefix>>();

interface ActivePrefix {
  readonly prefix: string;
  isContended: boolean;
}

/** The keys of one delivery, in addition to those of others in this process. */
export interface KeysInUse extends Disposable {
  /** Whether another delivery has written under the same prefix in the meantime: an earlier list may be outdated. */
  readonly isContended: boolean;
  /** Runs a function while no other delivery of this process uses the key. */
  with<T>(key: string, signal: AbortSignal, act: () => Promise<T>): Promise<T>;
}

/** @param place - endpoint and bucket */
export function useKeys(place: string, prefix: string): KeysInUse {
  const others = active.get(place) ?? new Set();
  active.set(place, others);
  const mine: ActivePrefix = { prefix, isContended: false };
  for (const other of others) {
    if (!other.prefix.startsWith(prefix) && !prefix.startsWith(other.prefix)) continue;
    other.isContended = true;
    mine.isContended = true;
  }
  others.add(mine);
  return {
    get isContended() {
      return mine.isContended;
    },
    with: (key, signal, act) => locks.with(`${place} ${key}`, signal, act),
    [Symbol.dispose]() {
      others.delete(mine);
      if (others.size === 0) active.delete(place);
    },
  };
}
