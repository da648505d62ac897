export interface ProgressLimits {
  /** Maximum time without progress in milliseconds, 0 = none. */
  readonly silenceMs: number;
  /** Minimum bytes per second while bytes are transferred, 0 = none. */
  readonly minBytesPerSecond: number;
}

/** Period for measuring the rate if there is no limit for stalls. */
const defaultWindowMs = 60_000;

/**
 * Ends a request if the peer stalls for too long, or transfers bytes too slowly: with the first limit alone, a peer that transfers a
 * byte within each period would never end. Two states: `running` (we wait for the peer) and `paused` (the peer waits for us, or for
 * the source).
 */
export class ProgressTimeout {
  readonly #limits: ProgressLimits;
  readonly #over: (why: 'silent' | 'slow', afterMs: number) => void;
  #timer: NodeJS.Timeout | undefined;
  #since = 0;
  #movedMs = 0;
  #movedBytes = 0;

  constructor(limits: ProgressLimits, over: (why: 'silent' | 'slow', afterMs: number) => void) {
    this.#limits = limits;
    this.#over = over;
  }

  /** We wait for the peer from now on; it may be silent for `extraMs` longer than otherwise. */
  start(extraMs = 0): void {
    this.pause();
    this.#since = performance.now();
    const { silenceMs } = this.#limits;
    const afterMs = silenceMs + extraMs;
    if (silenceMs > 0) this.#timer = setTimeout(() => this.#over('silent', afterMs), afterMs);
  }

  /** The peer waits for us. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The peer has accepted or sent this number of bytes since `start`; it waits for us. */
  moved(bytes: number): void {
    this.pause();
    this.#movedMs += performance.now() - this.#since;
    this.#movedBytes += bytes;
    const { silenceMs, minBytesPerSecond } = this.#limits;
    if (this.#movedMs < (silenceMs || defaultWindowMs)) return;
    const isSlow = this.#movedBytes * 1000 < minBytesPerSecond * this.#movedMs;
    const movedMs = this.#movedMs;
    this.#movedMs = 0;
    this.#movedBytes = 0;
    if (isSlow) this.#over('slow', movedMs);
  }
}
