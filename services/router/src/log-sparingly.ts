const windowMs = 60_000;
const maxKinds = 50;

/** Lets a line through when it is new within a minute, with how often the same was kept back before: strangers fill no log. */
export class LogSparingly {
  #seen = new Map<string, number>();
  #from = 0;

  /** @returns how often it was kept back since it was let through; undefined when it is kept back now */
  admit(kind: string, now = Date.now()): number | undefined {
    if (now - this.#from > windowMs) {
      // What was kept back in the window before is told with the first line of the next one.
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
