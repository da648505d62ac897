import {
  isMap,
  isPair,
  isScalar,
  isSeq,
  parseDocument,
  YAMLParseError,
  type Document,
  type LineCounter,
  type ParsedNode,
  type YAMLWarning,
} from 'yaml';

/** Maximum expansion of aliases, relative to the size of the text. */
export const maxAliasCount = 100;

/** Keys of one map: far above those of any configuration, and checked in a second. */
const maxKeys = 5_000;

/** The text of a configuration as YAML 1.2, with merge keys (`<<`) as in YAML 1.1. Errors are in the document. */
export function readYaml(text: string, lineCounter?: LineCounter): Document<ParsedNode> {
  // The library compares each key with all keys before it, which takes seconds for 10,000 keys.
  const options = { uniqueKeys: false, merge: true, ...(lineCounter && { lineCounter, prettyErrors: false }) };
  const document = parseDocument(text, options) as unknown as Document<ParsedNode>;
  document.errors.push(...wrongKeys(document), ...document.warnings.map(asError));
  document.errors.sort((a, b) => a.pos[0] - b.pos[0]);
  return document;
}

/** A tag such as `!include`, which is not resolved: the text behind it would be taken as it is. */
function asError({ pos, code, message }: YAMLWarning): YAMLParseError {
  return new YAMLParseError(pos, code, message);
}

/** Keys that occur twice in their map, and maps with too many. */
function wrongKeys(document: Document<ParsedNode>): YAMLParseError[] {
  const found: YAMLParseError[] = [];
  const nodes: unknown[] = [document.contents];
  while (nodes.length > 0) {
    const node = nodes.pop();
    if (isPair(node)) nodes.push(node.key, node.value);
    if (isSeq(node) || isMap(node)) for (const item of node.items) nodes.push(item);
    if (!isMap(node)) continue;
    if (node.items.length > maxKeys) {
      const [start] = node.range ?? [0];
      const message = `has a map of ${node.items.length} keys, at most ${maxKeys}`;
      found.push(new YAMLParseError([start, start + 1], 'RESOURCE_EXHAUSTION', message));
    }
    const keys = new Set<unknown>();
    for (const { key } of node.items) {
      if (isMap(key) || isSeq(key)) {
        const [start] = key.range ?? [0];
        found.push(
          new YAMLParseError([start, start + 1], 'BAD_COLLECTION_TYPE', 'A key must be a name, not a map or list'),
        );
      }
      if (!isScalar(key)) continue;
      const [start] = key.range ?? [0];
      if (keys.has(key.value))
        found.push(new YAMLParseError([start, start + 1], 'DUPLICATE_KEY', 'Map keys must be unique'));
      keys.add(key.value);
    }
  }
  return found;
}
