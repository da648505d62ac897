/** Who waits, by key (the address of a client): each key in turn, so that one that asks much does not hold up the others. */
export class FairQueue<T> {
  readonly #waiting = new Map<string, T[]>();
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
    if (this.#size >= this.#maxWaiting || (own?.length ?? 0) >= this.#maxPerKey) return false;
    if (own) own.push(item);
    else this.#waiting.set(key, [item]);
    this.#size += 1;
    return true;
  }

  /** The next one of the next key that may; undefined when none may. */
  shift(mayGo: (key: string) => boolean = () => true): T | undefined {
    for (const [key, items] of this.#waiting) {
      if (!mayGo(key)) continue;
      const item = items.shift();
      this.#waiting.delete(key);
      if (items.length > 0) this.#waiting.set(key, items);
      this.#size -= 1;
      return item;
    }
    return undefined;
  }
}
