import { isAlias, isMap, isScalar, isSeq, type Document, type Node, type YAMLMap } from 'yaml';
import { maxAliasCount } from '../config/read-yaml.ts';

/** Whether a key of a map is `<<`. */
export function isMergeKey(key: unknown): boolean {
  return isScalar(key) && typeof key.value === 'symbol' && key.value.description === '<<';
}

/** Keys that the merge keys of a map add to it. */
export function mergedInto(document: Document, map: YAMLMap): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    mergedPairs(document, map).map(({ key, value }) => [key, value?.toJS(document, { maxAliasCount }) ?? null]),
  );
}

/** Expands the merge keys of a map, at their position. */
export function writeOutMerges(document: Document, map: YAMLMap): void {
  const pairs = mergedPairs(document, map).map(({ key, value }) =>
    document.createPair(key, value?.toJS(document, { maxAliasCount }) ?? null),
  );
  const at = map.items.findIndex(({ key }) => isMergeKey(key));
  map.items = map.items.filter(({ key }) => !isMergeKey(key));
  map.items.splice(Math.max(0, at), 0, ...pairs);
}

/** According to YAML 1.1: the map's own keys take precedence, then earlier merge keys. */
function mergedPairs(document: Document, map: YAMLMap): { readonly key: string; readonly value: Node | null }[] {
  const own = new Set(map.items.flatMap(({ key }) => (isScalar(key) && !isMergeKey(key) ? [String(key.value)] : [])));
  const found = new Map<string, Node | null>();
  const take = (from: unknown): void => {
    const source = isAlias(from) ? from.resolve(document) : from;
    if (isSeq(source)) return source.items.forEach(take);
    if (!isMap(source)) return undefined;
    for (const { key, value } of source.items) {
      if (isMergeKey(key) || !isScalar(key)) continue;
      const name = String(key.value);
      if (!own.has(name) && !found.has(name)) found.set(name, value as Node | null);
    }
    for (const { key, value } of source.items) if (isMergeKey(key)) take(value);
    return undefined;
  };
  for (const { key, value } of map.items) if (isMergeKey(key)) take(value);
  return Array.from(found, ([key, value]) => ({ key, value }));
}
