export interface ProgressTimeoutOptions {
  /** Silence after which it is exhausted. */
  readonly graceMs: number;
  /** Slower than this, over more than the grace, is as good as silence; 0: every byte counts as enough. */
  readonly minBytesPerSecond: number;
  /** Bytes that the other side has moved so far. */
  readonly moved: () => number;
  /** Whether what happens now is not for the other side to hasten: its grace begins anew. */
  readonly isExcused: () => boolean;
  readonly onExhausted: () => void;
}

/**
 * How long the other side is waited for. A bucket of time: it holds `graceMs`, time empties it, and each byte that moves
 * fills in what it may take at `minBytesPerSecond`, never beyond the grace. So silence ends after the grace, a trickle of a
 * byte now and then hardly later, and whoever is at least as fast as the minimum may go on forever. It is looked at only
 * when the time may be over: bytes cost nothing but their count.
 */
export class ProgressTimeout {
  readonly #options: ProgressTimeoutOptions;
  #deadline = 0;
  #counted = 0;
  #timer: NodeJS.Timeout | undefined;
  #isRunning = false;

  constructor(options: ProgressTimeoutOptions) {
    this.#options = options;
  }

  /** Begins to wait, or begins anew with the whole grace. */
  start(): void {
    const { graceMs, moved } = this.#options;
    if (graceMs <= 0) return;
    this.#deadline = performance.now() + graceMs;
    this.#counted = moved();
    this.#isRunning = true;
    this.#timer ??= this.#arm(graceMs);
  }

  stop(): void {
    this.#isRunning = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Nobody is waited for any more; the timer that is armed comes to nothing. Cheaper than `stop` where it begins again soon. */
  rest(): void {
    this.#isRunning = false;
  }

  #arm(ms: number): NodeJS.Timeout {
    const timer = setTimeout(() => this.#look(), Math.max(1, Math.ceil(ms)));
    timer.unref();
    return timer;
  }

  #look(): void {
    this.#timer = undefined;
    if (!this.#isRunning) return;
    const now = performance.now();
    if (now >= this.#deadline) this.#fillIn(now);
    if (now < this.#deadline) this.#timer = this.#arm(this.#deadline - now);
    else {
      this.#isRunning = false;
      this.#options.onExhausted();
    }
  }

  #fillIn(now: number): void {
    const { graceMs, minBytesPerSecond, moved, isExcused } = this.#options;
    const total = moved();
    const bytes = total - this.#counted;
    this.#counted = total;
    if (isExcused() || (minBytesPerSecond <= 0 && bytes > 0)) this.#deadline = now + graceMs;
    else if (bytes > 0) this.#deadline = Math.min(now + graceMs, this.#deadline + (1000 * bytes) / minBytesPerSecond);
  }
}
