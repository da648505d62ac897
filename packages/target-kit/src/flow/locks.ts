import { until } from './waiting.ts';

/** Limits the number of simultaneous holders; the others wait in order. */
export class Permits {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Waits for a permit and runs the function with it.
   *
   * @throws {DispatchError} if the signal aborts during the wait (see `cancelledError`), otherwise errors of the function
   */
  async with<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    await this.take(signal);
    try {
      return await act();
    } finally {
      this.release();
    }
  }

  /** Waits for a permit, which the caller releases. @throws {DispatchError} if the signal aborts during the wait */
  async take(signal: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    // A permit that arrives too late is passed to the next.
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

/** A mutex per key, within this process. */
export class KeyedLocks {
  readonly #last = new Map<string, Promise<void>>();

  /** @throws {DispatchError} if the signal aborts during the wait, otherwise errors of the function */
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

/**
 * Paths that deliveries of this process are writing: deliveries with a common path run sequentially. For targets that cannot
 * reject a path that was taken in the meantime.
 */
export class PathClaims {
  readonly #taken = new Set<string>();
  #freed = Promise.withResolvers<void>();

  /**
   * Waits until none of the paths is in use, then locks all of them together.
   *
   * @throws {DispatchError} if the signal aborts first
   */
  async take(paths: readonly string[], signal: AbortSignal): Promise<Disposable> {
    while (paths.some((path) => this.#taken.has(path))) await until(this.#freed.promise, signal);
    for (const path of paths) this.#taken.add(path);
    return {
      [Symbol.dispose]: () => {
        for (const path of paths) this.#taken.delete(path);
        this.#freed.resolve();
        this.#freed = Promise.withResolvers();
      },
    };
  }
}
