/**
 * Limits the transfer rate. Each call reports the sent bytes and resolves when the next may be sent; up to one
 * second's worth may be sent in a burst.
 */
export class Throttle {
  readonly #bytesPerSecond: number;
  /** When the bytes sent so far would have been sent at the allowed rate. */
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
