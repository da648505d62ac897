/** Rate limit: events per second, and burst. */
export interface Allowance {
  readonly perSecond: number;
  readonly burst: number;
}

/** Counts down with each use and fills up with time. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at = performance.now();

  constructor({ perSecond, burst }: Allowance) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  isEmpty(now = performance.now()): boolean {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
    return this.#tokens < 1;
  }

  take(): void {
    this.#tokens -= 1;
  }
}

/** One bucket per key; if there are too many keys the oldest one is removed. */
export class TokenBuckets {
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #allowance: Allowance;
  readonly #maxKeys: number;

  constructor(allowance: Allowance, maxKeys: number) {
    this.#allowance = allowance;
    this.#maxKeys = maxKeys;
  }

  of(key: string): TokenBucket {
    const known = this.#buckets.get(key);
    if (known) return known;
    if (this.#buckets.size >= this.#maxKeys) this.#buckets.delete(this.#buckets.keys().next().value ?? '');
    const made = new TokenBucket(this.#allowance);
    this.#buckets.set(key, made);
    return made;
  }
}
