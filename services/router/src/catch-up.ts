import { setTimeout as sleep } from 'node:timers/promises';

const lookMs = 100;
/** Interval at which a waiting sweep is noted. */
const noteMs = 30_000;

/** What a sweep that waits needs. */
export interface WaitDependencies {
  /** Called when the sweep begins to wait, and again every 30 s. */
  onWait(): Promise<unknown>;
  readonly signal: AbortSignal;
}

/**
 * Progress of a feed that is read from far back. Meanwhile a sweep would find the same studies, and each would be routed twice.
 */
export class CatchUp {
  #isEnd = false;
  #seq: number | undefined;
  #advancedAt = performance.now();
  #failures = 0;

  /** Follows the feed. Its former position does not count: after a failure, or for another leader, it may be far back. */
  async follow(act: () => Promise<never>): Promise<never> {
    this.begin();
    try {
      return await act();
    } catch (error) {
      this.begin();
      this.#failures += 1;
      throw error;
    }
  }

  /** Call this when the feed is read from another position on: its end is unknown until it has been read. */
  begin(): void {
    this.#isEnd = false;
    this.#seq = undefined;
    this.#advancedAt = performance.now();
  }

  /** Call this with the place in the feed, and whether it is the end, each time the feed has been read. */
  advanced(seq: number, isEnd: boolean): void {
    this.#isEnd = isEnd;
    if (seq === this.#seq) return;
    this.#seq = seq;
    this.#advancedAt = performance.now();
  }

  /**
   * Resolves when the feed has been read to its end, and as soon as reading it fails: a sweep must find the studies of a feed that
   * cannot be read. While a failed feed waits for its next try, that try decides.
   *
   * @param stalledMs - it also resolves when the feed has not advanced for this time. A page of 1,000 changes may hold as many
   *   studies, and a slow system routes 16 studies a second: the default is twice that. The health check also reports a feed that
   *   has not advanced for two minutes
   * @param maxMs - it resolves after this time in any case
   */
  async over({ onWait, signal }: WaitDependencies, { stalledMs = 120_000, maxMs = 3_600_000 } = {}): Promise<void> {
    const beganAt = performance.now();
    const failures = this.#failures;
    let notedAt: number | undefined;
    for (;;) {
      if (this.#isEnd) return;
      const now = performance.now();
      const isStalled = now - this.#advancedAt >= stalledMs;
      if (isStalled || this.#failures > failures || now - beganAt >= maxMs) return;
      if (notedAt === undefined || now - notedAt >= noteMs) {
        await onWait();
        notedAt = now;
      }
      await sleep(lookMs, undefined, { signal });
    }
  }
}
