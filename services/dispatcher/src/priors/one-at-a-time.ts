/**
 * Lets one act of a name happen at a time; acts of different names know nothing of each other. One that would have to wait is not
 * done, and answers undefined: whoever waited would keep others from what they could do.
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
