import { until } from './until.ts';

/** So many may do something at the same time; the others wait in order. */
export class Permits {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Waits for a permit and runs the act with it.
   *
   * @throws {DispatchError} when the signal aborts while it waits (see `cancelledError`), else what the act throws
   */
  async with<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    await this.take(signal);
    try {
      return await act();
    } finally {
      this.release();
    }
  }

  async take(signal: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    // A permit that comes too late goes to the next.
    await until(promise, signal, () => this.release()).catch((error: unknown) => {
      const index = this.#waiting.indexOf(resolve);
      if (index >= 0) this.#waiting.splice(index, 1);
      throw error;
    });
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}
