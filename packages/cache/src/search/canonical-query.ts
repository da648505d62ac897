/** One text for a query, independent of the order of its keys; keys without a value are omitted. */
export function canonicalQuery(query: unknown): string {
  return JSON.stringify(query, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
  });
}
