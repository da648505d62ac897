/**
 * Ends a request when the other side is silent for too long. Two states: `running` (it is the other side's turn) and
 * `paused` (it is ours, or the source's). Each step of the other side starts the time anew.
 */
export class Patience {
  readonly #limitMs: number;
  readonly #over: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param limitMs longest silence in milliseconds, 0 = none */
  constructor(limitMs: number, over: () => void) {
    this.#limitMs = limitMs;
    this.#over = over;
  }

  /** It is the other side's turn, from now. */
  start(): void {
    this.pause();
    if (this.#limitMs > 0) this.#timer = setTimeout(this.#over, this.#limitMs);
  }

  /** It is our turn. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
