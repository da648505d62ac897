/**
 * Joins calls of one iteration of the event loop: a command for many items takes less CPU time than a command for each.
 *
 * @param act - called with the arguments of all calls, in their order; returns a result for each. Its failure is that of all
 */
export function joinCalls<A, R>(act: (all: readonly A[]) => Promise<readonly R[]>): (one: A) => Promise<R> {
  let waiting: { readonly one: A; resolve(result: R): void; reject(reason: unknown): void }[] = [];
  async function actOnAll(): Promise<void> {
    const calls = waiting;
    waiting = [];
    try {
      const results = await act(calls.map(({ one }) => one));
      for (const [at, { resolve }] of calls.entries()) resolve(results[at] as R);
    } catch (error) {
      for (const { reject } of calls) reject(error);
    }
  }
  return (one) =>
    new Promise((resolve, reject) => {
      waiting.push({ one, resolve, reject });
      if (waiting.length === 1) setImmediate(() => void actOnAll());
    });
}
