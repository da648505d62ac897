/** Who waits, by key (the address of a client): each key in turn, so that one that asks much does not hold up the others. */
export class FairQueue<T> {
  readonly #waiting = new Map<string, Set<T>>();
  readonly #maxWaiting: number;
  readonly #maxPerKey: number;
  #size = 0;

  constructor(maxWaiting: number, maxPerKey: number) {
    this.#maxWaiting = maxWaiting;
    this.#maxPerKey = maxPerKey;
  }

  get size(): number {
    return this.#size;
  }

  /** @returns false when there is no place left */
  push(key: string, item: T): boolean {
    const own = this.#waiting.get(key);
    if (this.#size >= this.#maxWaiting || (own?.size ?? 0) >= this.#maxPerKey) return false;
    if (own) own.add(item);
    else this.#waiting.set(key, new Set([item]));
    this.#size += 1;
    return true;
  }

  /** Takes out somebody who waits no longer. */
  remove(key: string, item: T): void {
    const own = this.#waiting.get(key);
    if (!own?.delete(item)) return;
    this.#size -= 1;
    if (own.size === 0) this.#waiting.delete(key);
  }

  /** The next one of the next key that may; undefined when none may. */
  shift(mayGo: (key: string) => boolean = () => true): T | undefined {
    for (const [key, items] of this.#waiting) {
      if (!mayGo(key)) continue;
      const [item] = items;
      if (item === undefined) continue;
      this.remove(key, item);
      // To the end of the line.
      if (this.#waiting.delete(key)) this.#waiting.set(key, items);
      return item;
    }
    return undefined;
  }
}
