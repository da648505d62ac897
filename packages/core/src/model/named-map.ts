/** A copy of a map from names to values with these names only: without `constructor` and other properties of objects. */
export function namedMap<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  return Object.assign(Object.create(null) as Record<string, T>, map);
}
