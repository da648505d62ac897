/** One text for a query, whatever the order of its keys; keys without a value are as if left out. */
export function canonicalQuery(query: unknown): string {
  return JSON.stringify(query, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
  });
}
