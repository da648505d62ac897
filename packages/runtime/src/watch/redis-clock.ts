const localNow = Date.now;
/** Number of compared samples: the one with the fastest response is the best. */
const keptSamples = 16;

export interface ClockSample {
  /** Redis TIME in ms since 1970. */
  readonly redisMs: number;
  /** `performance.now()` before the request, and after the response. */
  readonly sentAt: number;
  readonly receivedAt: number;
}

/** A jump of a clock, or a difference between two clocks, of more than this is reported. */
export const skewLimitMs = 30_000;

/**
 * The clock of Redis, which all processes share, for code that cannot query it each time: use it for due times and ages
 * instead of the local clock. Between two samples it uses the monotonic clock of this process, so a change of the local
 * clock does not affect it.
 */
export class RedisClock {
  readonly #samples: (ClockSample & { readonly offsetMs: number })[] = [];
  #offsetMs: number | undefined;

  /** Milliseconds since 1970 by Redis TIME; by the local clock until the first response of Redis. */
  now = (): number => {
    return this.#offsetMs === undefined ? localNow() : Math.round(performance.now() + this.#offsetMs);
  };

  /** Whether Redis has returned its time. */
  get isSet(): boolean {
    return this.#offsetMs !== undefined;
  }

  /**
   * Adds a time that Redis returned.
   *
   * @returns by how many ms the clock of Redis has jumped since the last sample, within the accuracy of the two
   *   responses
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
