/** A copy of a map from names to values that has these names only: not `constructor`, nor what else objects come with. */
export function namedMap<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  return Object.assign(Object.create(null) as Record<string, T>, map);
}
