const cache = new Map<string, RegExp>();
const cacheLimit = 1000;

/** A glob as a regular expression over the whole text, without regard to case: `*` any characters, `?` exactly one. */
export function globToRegExp(glob: string): RegExp {
  const known = cache.get(glob);
  if (known) return known;
  const source = glob
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  const made = new RegExp(`^${source}$`, 'isu');
  if (cache.size >= cacheLimit) cache.clear();
  cache.set(glob, made);
  return made;
}
