/** A small, fast, seeded generator (xorshift32): fuzzing must be repeatable. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed === 0 ? 0x9e3779b9 : seed >>> 0;
  }

  /** An integer from 0 up to, but without, `below`. */
  below(below: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state % below;
  }
}
