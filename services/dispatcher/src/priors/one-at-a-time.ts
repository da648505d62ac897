/**
 * Runs one function per name at a time; different names are independent. A function that would have to wait is not
 * run, and the result is undefined: waiting would block other work of the caller.
 */
export function oneAtATime(): <T>(name: string, act: () => Promise<T>) => Promise<T | undefined> {
  const under = new Set<string>();
  return async (name, act) => {
    if (under.has(name)) return undefined;
    under.add(name);
    try {
      return await act();
    } finally {
      under.delete(name);
    }
  };
}
