/** Maximum share of the time for digests. */
const share = 0.01;
/** Burst of digests after a pause. */
const maxCreditMs = 5;
/** An MD5 in one process, measured at 480 to 620 MB a second on cores of 2.5 GHz. */
const bytesPerMs = 450_000;
/** Cost of requesting a digest from an idle source, on both sides. */
const minRequestMs = 0.5;
/** One answer that hangs stops no digests for longer than a few seconds. */
const maxRequestMs = 100;
/** Weight of the latest answer. */
const weight = 0.2;
/** An instance of a study that arrives takes no longer than this; the rest is waiting for the next one. */
const maxArrivingMs = 5;

/** Selects the instances whose digests are compared by default: as many as cost little time. */
export class DigestBudget {
  readonly #now: () => number;
  /** Below zero after slow responses. */
  #creditMs = maxCreditMs;
  #since: number;
  #requestMs = minRequestMs;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#since = now();
  }

  /**
   * Whether the digest of an instance of this size may be compared; if so, its cost is deducted.
   *
   * @param isArriving - its study is still being received: the time until the next instance is not spent on sending
   */
  take(sizeBytes: number, isArriving = false): boolean {
    const now = this.#now();
    const passedMs = isArriving ? Math.min(maxArrivingMs, now - this.#since) : now - this.#since;
    this.#creditMs = Math.min(maxCreditMs, this.#creditMs + passedMs * share);
    this.#since = now;
    const hashMs = sizeBytes / bytesPerMs;
    if (minRequestMs + hashMs > this.#creditMs) return false;
    this.#creditMs -= this.#requestMs + hashMs;
    return true;
  }

  /** Duration of a digest response of a source: the assumed cost of the next ones is a moving average. */
  answered(tookMs: number): void {
    const bounded = Math.min(maxRequestMs, Math.max(minRequestMs, tookMs));
    this.#requestMs += (bounded - this.#requestMs) * weight;
  }
}
