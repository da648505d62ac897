const localNow = Date.now;

/**
 * Detects that the local clock was set: its difference to the monotonic clock has changed. A suspended machine
 * looks the same, since the monotonic clock stops meanwhile.
 */
export class LocalClock {
  #wallMs = localNow();
  #monotonicMs = performance.now();

  now(): number {
    return localNow();
  }

  /** @returns by how many ms the local clock has jumped since the last check; negative: backwards */
  look(): number {
    const wallMs = localNow();
    const monotonicMs = performance.now();
    const jumpMs = wallMs - this.#wallMs - (monotonicMs - this.#monotonicMs);
    this.#wallMs = wallMs;
    this.#monotonicMs = monotonicMs;
    return jumpMs;
  }
}
