/**
 * Runs `act` on each item, in order, at most `limit` in parallel. The first failure ends it: no further item is started.
 *
 * @param stopped - aborted by the first failure. If several calls share it, a failure of one ends all
 * @throws the first failure: immediately, or with `stopped` after all running ones have ended
 */
export async function eachBounded<T>(
  items: readonly T[],
  limit: number,
  act: (item: T) => Promise<void>,
  stopped?: AbortController,
): Promise<void> {
  const rest = items.values();
  let failed = false;
  async function work(): Promise<void> {
    for (const item of rest) {
      if (failed || stopped?.signal.aborted) return;
      try {
        await act(item);
      } catch (error) {
        failed = true;
        if (!stopped) throw error;
        stopped.abort(error);
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
  stopped?.signal.throwIfAborted();
}
