/** What each answer counts for, whatever it brings: a server that answers many small requests makes progress. */
const bytesPerAnswer = 4_096;

export interface FloorOptions {
  /** Bytes a second that have to go through at least; 0 = no floor. */
  readonly minBytesPerSecond: number;
  /** Time over which the rate is looked at. */
  readonly windowMs: number;
  /** Longest time without any answer; 0 = no limit. */
  readonly silenceMs: number;
  onSlow(): void;
  onSilent(): void;
}

/**
 * Notices a peer that says nothing any more, and one that answers now and then and gets nothing done. Time counts while at
 * least one request is under way, so that neither a slow source nor a rate limit of ours is held against the peer; and any
 * answer counts, since with many requests under way on a slow link each of them waits for long.
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

  /** @param bytes - that have gone through by the request that has ended */
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
