import { setTimeout as sleep } from 'node:timers/promises';

/** Spaces requests evenly, and counts them. */
export class Pace {
  readonly #everyMs: number;
  readonly #signal: AbortSignal;
  #next = 0;
  #count = 0;

  /** @param rate - requests a second */
  constructor(rate: number, signal: AbortSignal) {
    this.#everyMs = 1_000 / rate;
    this.#signal = signal;
  }

  get count(): number {
    return this.#count;
  }

  /** Resolves when the next request may be sent. */
  async wait(): Promise<void> {
    this.#signal.throwIfAborted();
    const now = performance.now();
    const at = Math.max(now, this.#next);
    this.#next = at + this.#everyMs;
    this.#count += 1;
    if (at > now) await sleep(at - now, undefined, { signal: this.#signal });
  }
}
