/** Runs `act` on each item, at most `limit` in parallel. The first failure ends it: no further item is started. */
export async function eachBounded<T>(
  items: readonly T[],
  limit: number,
  act: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  let failed = false;
  async function work(): Promise<void> {
    for (const item of rest) {
      if (failed) return;
      try {
        await act(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
}
