/**
 * Waiting requests by key (the address of a client). Keys are served in rotation, so that a client with many requests does not
 * block the others.
 */
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

  /** @returns false if the queue, or the part of the key, is full */
  push(key: string, item: T): boolean {
    const own = this.#waiting.get(key);
    if (this.#size >= this.#maxWaiting || (own?.size ?? 0) >= this.#maxPerKey) return false;
    if (own) own.add(item);
    else this.#waiting.set(key, new Set([item]));
    this.#size += 1;
    return true;
  }

  /** Removes a request that no longer waits. */
  remove(key: string, item: T): void {
    const own = this.#waiting.get(key);
    if (!own?.delete(item)) return;
    this.#size -= 1;
    if (own.size === 0) this.#waiting.delete(key);
  }

  /** The next request of the next allowed key; undefined if none is allowed. */
  shift(mayGo: (key: string) => boolean = () => true): T | undefined {
    for (const [key, items] of this.#waiting) {
      if (!mayGo(key)) continue;
      const [item] = items;
      if (item === undefined) continue;
      this.remove(key, item);
      // Moves the key to the end.
      if (this.#waiting.delete(key)) this.#waiting.set(key, items);
      return item;
    }
    return undefined;
  }
}
