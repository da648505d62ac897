export interface ProgressTimeoutOptions {
  /** Time without progress after which `onExhausted` is called; 0 = never. */
  readonly graceMs: number;
  /** A slower rate, over more than the grace period, counts as silence; 0: every byte is sufficient. */
  readonly minBytesPerSecond: number;
  /** Bytes that the other side has moved so far. */
  readonly moved: () => number;
  /** Whether the current wait is not caused by the peer: its grace period starts again. */
  readonly isExcused: () => boolean;
  readonly onExhausted: () => void;
}

/**
 * How long to wait for the peer: `graceMs`, extended by each transferred byte by the time that it may take at
 * `minBytesPerSecond`, but never beyond `graceMs` from now. A stall ends after the grace period, occasional single bytes
 * extend it only slightly, and a peer that is at least as fast as the minimum may continue forever. The deadline is computed
 * only when the time may be over: a byte only increments a counter.
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

  /** Starts the wait, or restarts it with the complete grace period. */
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

  /** Ends the wait; an armed timer then has no effect. Cheaper than `stop` if it starts again soon. */
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
