import { parseDocument, type Document, type LineCounter, type ParsedNode } from 'yaml';

/** Maximum expansion of aliases, relative to the size of the text. */
export const maxAliasCount = 100;

/** The text of a configuration as YAML 1.2, with merge keys (`<<`) as in YAML 1.1. Errors are in the document. */
export function readYaml(text: string, lineCounter?: LineCounter): Document<ParsedNode> {
  const options = { uniqueKeys: true, merge: true, ...(lineCounter && { lineCounter, prettyErrors: false }) };
  return parseDocument(text, options) as unknown as Document<ParsedNode>;
}
