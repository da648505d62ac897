import { setTimeout as sleep } from 'node:timers/promises';

const lookMs = 100;

/**
 * Progress of a feed that is read from far back. Meanwhile a sweep would find the same studies, and each would be routed twice.
 */
export class CatchUp {
  #lag: number | undefined;
  #seq: number | undefined;
  #advancedAt = performance.now();

  /** Call this with the place in the feed, and the number of remaining changes, each time the feed has been read. */
  advanced(seq: number, lag: number): void {
    this.#lag = lag;
    if (seq === this.#seq) return;
    this.#seq = seq;
    this.#advancedAt = performance.now();
  }

  /**
   * Resolves when the feed has been read to its end, and at once if it fails: a sweep must find the studies of a feed that cannot
   * be read.
   *
   * @param stalledMs - it also resolves when the feed has not advanced for this time
   * @param maxMs - it resolves after this time in any case
   */
  async over(
    { isFailing, signal }: { isFailing(): boolean; readonly signal: AbortSignal },
    { stalledMs = 10_000, maxMs = 3_600_000 } = {},
  ): Promise<void> {
    const until = performance.now() + maxMs;
    for (;;) {
      if (this.#lag !== undefined && this.#lag <= 0) return;
      const now = performance.now();
      if (isFailing() || now - this.#advancedAt >= stalledMs || now >= until) return;
      await sleep(lookMs, undefined, { signal });
    }
  }
}
