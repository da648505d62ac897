/** A query of an address as forms send it: a field that was left empty is as good as missing. */
export function emptyAsMissing(query: unknown): Record<string, unknown> {
  if (typeof query !== 'object' || query === null) return {};
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ''));
}
