/** Progress counted for each response of any size: a server that responds to many small requests makes progress. */
const bytesPerAnswer = 4_096;

export interface FloorOptions {
  /** Minimum bytes per second; 0 = no minimum. */
  readonly minBytesPerSecond: number;
  /** Period over which the rate is measured. */
  readonly windowMs: number;
  /** Longest time without any response; 0 = no limit. */
  readonly silenceMs: number;
  onSlow(): void;
  onSilent(): void;
}

/**
 * Detects a peer that no longer responds, and one that responds from time to time without progress. Time counts while at least
 * one request is running, so neither a slow source nor our own rate limit counts against the peer. Any response counts, since
 * with many requests on a slow link each of them waits for a long time.
 */
export class ProgressFloor {
  readonly #options: FloorOptions;
  #underWay = 0;
  #bytes = 0;
  #answeredAt = 0;
  #silence: NodeJS.Timeout | undefined;
  #window: NodeJS.Timeout | undefined;

  constructor(options: FloorOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#underWay += 1;
    if (this.#underWay > 1) return;
    this.#answeredAt = performance.now();
    const { minBytesPerSecond, silenceMs } = this.#options;
    if (silenceMs > 0) this.#listen(silenceMs);
    if (minBytesPerSecond > 0) this.#watch();
  }

  /** @param bytes - transferred by the ended request */
  end(bytes: number): void {
    this.#bytes += bytes + bytesPerAnswer;
    this.#answeredAt = performance.now();
    this.#underWay -= 1;
    if (this.#underWay > 0) return;
    clearTimeout(this.#silence);
    clearTimeout(this.#window);
  }

  #listen(forMs: number): void {
    const { silenceMs, onSilent } = this.#options;
    this.#silence = setTimeout(() => {
      const leftMs = this.#answeredAt + silenceMs - performance.now();
      if (leftMs <= 0) onSilent();
      else this.#listen(leftMs);
    }, forMs);
  }

  #watch(): void {
    const { minBytesPerSecond, windowMs, onSlow } = this.#options;
    this.#bytes = 0;
    this.#window = setTimeout(() => {
      if (this.#bytes < (minBytesPerSecond * windowMs) / 1000) onSlow();
      else this.#watch();
    }, windowMs);
  }
}
