import { until } from './until.ts';

/** One at a time for each key, within this process. */
export class KeyedLocks {
  readonly #last = new Map<string, Promise<void>>();

  /** @throws {DispatchError} when the signal aborts while it waits, else what the act throws */
  async with<T>(key: string, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    const { promise: mine, resolve: done } = Promise.withResolvers<void>();
    const before = this.#last.get(key);
    const last = before ? before.then(() => mine) : mine;
    this.#last.set(key, last);
    try {
      if (before) await until(before, signal);
      return await act();
    } finally {
      done();
      if (this.#last.get(key) === last) this.#last.delete(key);
    }
  }
}
