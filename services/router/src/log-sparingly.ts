const windowMs = 60_000;
const maxKinds = 50;

/** Logs a line if it is new within a minute, with the number of suppressed ones before. Unauthenticated clients cannot fill the log. */
export class LogSparingly {
  #seen = new Map<string, number>();
  #from = 0;

  /** @returns how many were suppressed since it was last logged; undefined if it is suppressed now */
  admit(kind: string, now = Date.now()): number | undefined {
    if (now - this.#from > windowMs) {
      // The number suppressed in the previous window is logged with the first line of the next one.
      const before = this.#seen;
      this.#seen = new Map();
      this.#from = now;
      this.#seen.set(kind, 0);
      return before.get(kind) ?? 0;
    }
    const known = this.#seen.get(kind);
    if (known !== undefined) {
      this.#seen.set(kind, known + 1);
      return undefined;
    }
    if (this.#seen.size >= maxKinds) return undefined;
    this.#seen.set(kind, 0);
    return 0;
  }
}
