import type { ASTNode } from '@marcbachmann/cel-js';

/** Study-level values that change while more of it arrives. All others are in its first instance. */
const growing = new Set([
  'ModalitiesInStudy',
  'SOPClassesInStudy',
  'NumberOfStudyRelatedSeries',
  'NumberOfStudyRelatedInstances',
]);

/**
 * The part of a condition whose result may change while a study is being received; undefined if a result that is true for the
 * first instances stays true. An existing series stays: `series.exists(…)` may be evaluated early, alone or within `&&` and
 * `||`; a false result may become true.
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

/** Whether any part refers to the series, or to the complete study. */
function mentions(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((one) => mentions(one));
  if (typeof value !== 'object' || value === null || !('op' in value) || !('args' in value)) return false;
  const { op, args } = value as ASTNode;
  if (op === 'id') return args === 'series';
  if ((op === '.' || op === '.?') && Array.isArray(args) && growing.has(String(args[1]))) return true;
  if ((op === '[]' || op === '[?]') && growing.has(String((args[1] as ASTNode).args))) return true;
  return mentions(args);
}
