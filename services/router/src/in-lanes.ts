/**
 * Runs `act` on each item, in order, at most `count` in parallel.
 *
 * @param stopped - aborted by the first failure, also one of other lanes: no further item is started
 * @throws the first failure, after all running ones have ended
 */
export async function inLanes<T>(
  items: readonly T[],
  count: number,
  stopped: AbortController,
  act: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  async function work(): Promise<void> {
    for (const item of rest) {
      if (stopped.signal.aborted) return;
      try {
        await act(item);
      } catch (error) {
        stopped.abort(error);
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, work));
  stopped.signal.throwIfAborted();
}
