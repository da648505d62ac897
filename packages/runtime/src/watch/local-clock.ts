const localNow = Date.now;

/**
 * Notices that the local clock was set: it has then gone on by another time than the monotonic clock. A machine that was
 * suspended looks the same, since the monotonic clock stands still meanwhile.
 */
export class LocalClock {
  #wallMs = localNow();
  #monotonicMs = performance.now();

  now(): number {
    return localNow();
  }

  /** @returns by how much the local clock has jumped since the last look; negative: backwards */
  look(): number {
    const wallMs = localNow();
    const monotonicMs = performance.now();
    const jumpMs = wallMs - this.#wallMs - (monotonicMs - this.#monotonicMs);
    this.#wallMs = wallMs;
    this.#monotonicMs = monotonicMs;
    return jumpMs;
  }
}
