const localNow = Date.now;
/** Samples that are compared: the one whose answer took the least time is the best. */
const keptSamples = 16;

export interface ClockSample {
  /** Redis TIME in ms since 1970. */
  readonly redisMs: number;
  /** `performance.now()` before it was asked, and after. */
  readonly sentAt: number;
  readonly receivedAt: number;
}

/** A jump, or a difference between two clocks, of more than this is worth a word. */
export const skewLimitMs = 30_000;

/**
 * The clock of Redis, which all processes share, for code that cannot ask each time: due times and ages go by it, never by
 * the local clock. Between two samples it goes on with the monotonic clock of this process, so that a local clock that is
 * set does not move it.
 */
export class RedisClock {
  readonly #samples: (ClockSample & { readonly offsetMs: number })[] = [];
  #offsetMs: number | undefined;

  /** Milliseconds since 1970 by Redis TIME; by the local clock before Redis has answered first. */
  now = (): number => {
    return this.#offsetMs === undefined ? localNow() : Math.round(performance.now() + this.#offsetMs);
  };

  /** Whether Redis has told its time. */
  get isSet(): boolean {
    return this.#offsetMs !== undefined;
  }

  /**
   * Takes over a time that Redis told.
   *
   * @returns by how much the clock of Redis has jumped since the last sample, as far as the duration of the two answers allows to say so
   */
  sample(sample: ClockSample): number {
    const offsetMs = sample.redisMs - (sample.sentAt + sample.receivedAt) / 2;
    const jumpMs = this.#offsetMs === undefined ? 0 : offsetMs - this.#offsetMs;
    const uncertainMs = (sample.receivedAt - sample.sentAt) / 2 + 100;
    if (Math.abs(jumpMs) > uncertainMs) this.#samples.length = 0;
    this.#samples.push({ ...sample, offsetMs });
    if (this.#samples.length > keptSamples) this.#samples.shift();
    const best = this.#samples.reduce((one, other) => (durationOf(other) < durationOf(one) ? other : one));
    this.#offsetMs = best.offsetMs;
    return Math.abs(jumpMs) > uncertainMs ? jumpMs : 0;
  }
}

function durationOf({ sentAt, receivedAt }: ClockSample): number {
  return receivedAt - sentAt;
}
