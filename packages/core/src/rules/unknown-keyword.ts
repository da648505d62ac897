import type { ASTNode } from '@marcbachmann/cel-js';
import { keywords } from './keywords.ts';
import { nearestKeyword } from './nearest-keyword.ts';
import { eachTag } from './wanted-tags.ts';

/** Names of `origin` (Orthanc's metadata of the first instance). */
export const ofOrigin: ReadonlySet<string> = new Set(['RemoteAET', 'CalledAET', 'RemoteIP', 'Origin', 'ArrivedAt']);

export interface UnknownKeyword {
  /** Offset of the word in the expression. */
  readonly at: number;
  readonly message: string;
}

/**
 * The first name in an expression that is not a DICOM keyword (PS3.6) and would never exist. In brackets, as in
 * `study["…"]`, names of a private dictionary of Orthanc are allowed: there only a name similar to a keyword is reported.
 */
export function unknownKeyword(ast: ASTNode, text: string): UnknownKeyword | undefined {
  let found: UnknownKeyword | undefined;
  eachTag(ast, ({ variable, name, node, isIndex }) => {
    if (found || variable === 'source' || variable === 'now') return;
    const known = variable === 'origin' ? ofOrigin : keywords;
    if (known.has(name) || (variable === 'instance' && name === 'SizeBytes')) return;
    const nearest = nearestKeyword(name, known);
    if (isIndex && nearest === undefined) return;
    const kind = variable === 'origin' ? 'a known property of the origin' : 'a DICOM keyword';
    const list = variable === 'origin' ? `: use one of ${[...ofOrigin].join(', ')}` : '';
    found = {
      at: placeOf(text, node, name),
      message: `"${name}" is not ${kind}${nearest === undefined ? list : `; the nearest is ${nearest}`}`,
    };
  });
  return found;
}

/** The name is last in its node, except for a bracket and a quotation mark. */
function placeOf(text: string, node: ASTNode, name: string): number {
  const at = text.slice(0, node.range.end).lastIndexOf(name);
  return at >= node.range.start ? at : node.range.start;
}
