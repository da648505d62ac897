/** Maximum share of the time for digests. */
const share = 0.01;
/** Burst of digests after a pause. */
const maxCreditMs = 5;
/** An MD5 in one process, measured at 480 to 620 MB a second on cores of 2.5 GHz. */
const bytesPerMs = 450_000;
/** Cost of requesting a digest from an idle source, on both sides. */
const minRequestMs = 0.5;
/** Maximum assumed duration of a response: one that hangs stops digests for a few seconds at most. */
const maxRequestMs = 100;
/** Weight of the latest response. */
const weight = 0.2;
/** An instance of a study that arrives takes no longer than this; the rest is waiting for the next one. */
const maxArrivingMs = 5;

/** What digests may cost now. */
interface Credit {
  /** Below zero after slow responses. */
  ms: number;
  since: number;
}

/**
 * Selects the instances whose digests are compared by default: as many as cost little time. Studies that arrive have
 * their own budget: their instances come between those of complete studies.
 */
export class DigestBudget {
  readonly #now: () => number;
  readonly #whole: Credit;
  readonly #arriving: Credit;
  #requestMs = minRequestMs;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#whole = { ms: maxCreditMs, since: now() };
    this.#arriving = { ...this.#whole };
  }

  /**
   * Whether the digest of an instance of this size may be compared; if so, its cost is deducted.
   *
   * @param isArriving - its study is still being received: the time until the next instance is not spent on sending
   */
  take(sizeBytes: number, isArriving = false): boolean {
    const now = this.#now();
    const credit = isArriving ? this.#arriving : this.#whole;
    const passedMs = isArriving ? Math.min(maxArrivingMs, now - credit.since) : now - credit.since;
    credit.ms = Math.min(maxCreditMs, credit.ms + passedMs * share);
    credit.since = now;
    const hashMs = sizeBytes / bytesPerMs;
    if (minRequestMs + hashMs > credit.ms) return false;
    credit.ms -= this.#requestMs + hashMs;
    return true;
  }

  /** Duration of a digest response of a source: the assumed cost of the next ones is a moving average. */
  answered(tookMs: number): void {
    const bounded = Math.min(maxRequestMs, Math.max(minRequestMs, tookMs));
    this.#requestMs += (bounded - this.#requestMs) * weight;
  }
}
