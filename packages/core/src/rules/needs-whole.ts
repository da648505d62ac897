import type { ASTNode } from '@marcbachmann/cel-js';

/** Of the study, what changes as more of it arrives. All else is in its first instance. */
const growing = new Set([
  'ModalitiesInStudy',
  'SOPClassesInStudy',
  'NumberOfStudyRelatedSeries',
  'NumberOfStudyRelatedInstances',
]);

/**
 * The part of a condition whose answer may change while a study is being received; undefined when what is true of the
 * first instances stays true. A series that exists goes on existing: `series.exists(…)` may be asked early, alone or within `&&`
 * and `||`; what is false may become true.
 */
export function partThatNeedsWhole(node: ASTNode, text: string): string | undefined {
  const { op } = node;
  if (op === '&&' || op === '||') {
    const [left, right] = node.args;
    return partThatNeedsWhole(left, text) ?? partThatNeedsWhole(right, text);
  }
  if (op === 'rcall') {
    const [name, receiver, inner] = node.args;
    if (name === 'exists' && receiver.op === 'id' && receiver.args === 'series') {
      return mentions(inner) ? written() : undefined;
    }
  }
  return mentions(node) ? written() : undefined;

  function written(): string {
    return text.slice(node.range.start, node.range.end);
  }
}

/** Whether anything inside speaks about the series, or about the study as a whole. */
function mentions(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((one) => mentions(one));
  if (typeof value !== 'object' || value === null || !('op' in value) || !('args' in value)) return false;
  const { op, args } = value as ASTNode;
  if (op === 'id') return args === 'series';
  if ((op === '.' || op === '.?') && Array.isArray(args) && growing.has(String(args[1]))) return true;
  if ((op === '[]' || op === '[?]') && growing.has(String((args[1] as ASTNode).args))) return true;
  return mentions(args);
}
