import { until } from './until.ts';

/**
 * Paths that deliveries of this process are writing: two that share one go one after the other. For targets that cannot refuse
 * a path that was taken in the meantime by themselves.
 */
export class PathClaims {
  readonly #taken = new Set<string>();
  #freed = Promise.withResolvers<void>();

  /**
   * Waits until none of the paths is in use, then has all of them at once.
   *
   * @throws {DispatchError} when the signal aborts first
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
