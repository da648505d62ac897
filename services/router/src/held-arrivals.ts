/** Arrived resources: Orthanc ids. */
export interface Came {
  readonly instances: readonly string[];
  /** Series that have become stable. */
  readonly series: readonly string[];
}

/** Interval between announcements while instances keep arriving: it doubles from the first to the longest. */
const firstPaceMs = 600;
const longestPaceMs = 3_000;
/** This number does not wait for a longer interval than the first. */
const enough = 24;
/** After this time without new ones the next ones are announced at once. */
const pauseMs = 1_500;
/** Nothing new for this time: the last ones do not wait for the interval. */
const quietMs = 150;
/** More than this are pending only while a long feed is read from its beginning: their studies are stable then. */
const maxHeld = 20_000;
/** Time after which held ones are announced by the router if the plugin has not announced them: a little more than its longest interval. */
export const missedMs = 3_500;

/**
 * Arrived resources that the feed has reported, until they are announced together: each announcement costs about as much CPU as
 * an instance. The first are announced at once, the last ones when the feed was read again without new ones.
 */
export class HeldArrivals {
  readonly #held = { instances: new Set<string>(), series: new Set<string>() };
  #paceMs = 0;
  #grewAt = Number.NEGATIVE_INFINITY;
  #takenAt = Number.NEGATIVE_INFINITY;

  get isEmpty(): boolean {
    return this.#held.instances.size + this.#held.series.size === 0;
  }

  /** @param isKnown - whether an id was announced before */
  add(came: Came, isKnown: (id: string) => boolean): void {
    const now = performance.now();
    for (const kind of ['instances', 'series'] as const) {
      const held = this.#held[kind];
      for (const id of came[kind]) {
        if (held.has(id) || isKnown(id) || held.size >= maxHeld) continue;
        if (now - this.#grewAt > pauseMs) this.#paceMs = 0;
        this.#grewAt = now;
        held.add(id);
      }
    }
  }

  /** @param isPushed - whether the plugin announces instances at this moment, and with them those that are held */
  isDue(isPushed: boolean): boolean {
    const now = performance.now();
    const waitedMs = now - this.#takenAt;
    if (isPushed) return waitedMs >= missedMs;
    const { instances, series } = this.#held;
    const isEnough = waitedMs >= firstPaceMs && instances.size + series.size >= enough;
    return isEnough || waitedMs >= this.#paceMs || now - this.#grewAt >= quietMs;
  }

  take(): Came {
    this.#takenAt = performance.now();
    this.#paceMs = Math.min(Math.max(firstPaceMs, 2 * this.#paceMs), longestPaceMs);
    const taken = { instances: [...this.#held.instances], series: [...this.#held.series] };
    this.#held.instances.clear();
    this.#held.series.clear();
    return taken;
  }
}
