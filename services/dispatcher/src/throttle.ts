/**
 * Holds what is sent to a rate. Each call says how much has just been sent and resolves when the next may go; up to one
 * second's worth goes in a burst.
 */
export class Throttle {
  readonly #bytesPerSecond: number;
  /** When what was sent so far would have left at the allowed rate. */
  #paidUntil = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  sent(bytes: number, signal: AbortSignal): Promise<void> | undefined {
    const now = performance.now();
    this.#paidUntil = Math.max(this.#paidUntil, now - 1000) + (bytes / this.#bytesPerSecond) * 1000;
    const waitMs = this.#paidUntil - now;
    if (waitMs <= 0) return undefined;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(done, waitMs);
      signal.addEventListener('abort', stopped, { once: true });
      function done(): void {
        signal.removeEventListener('abort', stopped);
        resolve();
      }
      function stopped(): void {
        clearTimeout(timer);
        reject(signal.reason instanceof Error ? signal.reason : new Error('stopped'));
      }
    });
  }
}
