export interface ProgressLimits {
  /** Longest silence in milliseconds, 0 = none. */
  readonly silenceMs: number;
  /** Fewest bytes a second while bytes move, 0 = none. */
  readonly minBytesPerSecond: number;
}

/** Over this time the rate is looked at where no silence is too long. */
const defaultWindowMs = 60_000;

/**
 * Ends a request when the other side is silent for too long, or moves bytes too slowly: one that moves a byte within each
 * limit would never end. Two states: `running` (it is the other side's turn) and `paused` (it is ours, or the source's).
 */
export class ProgressTimeout {
  readonly #limits: ProgressLimits;
  readonly #over: (why: 'silent' | 'slow') => void;
  #timer: NodeJS.Timeout | undefined;
  #since = 0;
  #movedMs = 0;
  #movedBytes = 0;

  constructor(limits: ProgressLimits, over: (why: 'silent' | 'slow') => void) {
    this.#limits = limits;
    this.#over = over;
  }

  /** It is the other side's turn, from now. */
  start(): void {
    this.pause();
    this.#since = performance.now();
    const { silenceMs } = this.#limits;
    if (silenceMs > 0) this.#timer = setTimeout(() => this.#over('silent'), silenceMs);
  }

  /** It is our turn. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The other side has taken or given so many bytes since `start`; it is our turn. */
  moved(bytes: number): void {
    this.pause();
    this.#movedMs += performance.now() - this.#since;
    this.#movedBytes += bytes;
    const { silenceMs, minBytesPerSecond } = this.#limits;
    if (this.#movedMs < (silenceMs || defaultWindowMs)) return;
    const isSlow = this.#movedBytes * 1000 < minBytesPerSecond * this.#movedMs;
    this.#movedMs = 0;
    this.#movedBytes = 0;
    if (isSlow) this.#over('slow');
  }
}
