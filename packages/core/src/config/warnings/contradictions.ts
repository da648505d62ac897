import { serialize, type ASTNode } from '@marcbachmann/cel-js';

/** Parts joined by `&&` that cannot be true together, and sources that the rule does not have. */
export function contradictions(ast: ASTNode, text: string, sources: readonly string[]): string[] {
  const own = (node: ASTNode): string => text.slice(node.range.start, node.range.end);
  return alternatives(ast).flatMap((parts) => {
    const wanted = new Map<string, { readonly value: string; readonly node: ASTNode }>();
    return parts.flatMap((node) => {
      const equality = asEquality(node);
      if (!equality) return [];
      const { name, value } = equality;
      if (name === 'source' && !sources.includes(value)) {
        return [`\`${own(node)}\` is never true: the sources of this rule are ${sources.join(', ')}`];
      }
      const other = wanted.get(name);
      wanted.set(name, { value, node });
      if (!other || other.value === value) return [];
      return [
        `\`${own(other.node)}\` and \`${own(node)}\` are never true at the same time: use || if one of them is sufficient`,
      ];
    });
  });
}

/** For each alternative that `||` separates: the parts that `&&` joins. */
function alternatives(node: ASTNode): ASTNode[][] {
  if (node.op === '||') return node.args.flatMap(alternatives);
  if (node.op !== '&&') return [[node]];
  const parts = conjunction(node);
  const inner = parts.filter(({ op }) => op === '||').flatMap(alternatives);
  return [parts, ...inner];
}

function conjunction(node: ASTNode): ASTNode[] {
  return node.op === '&&' ? node.args.flatMap(conjunction) : [node];
}

/** `tag == "value"`, in either order. */
function asEquality(node: ASTNode): { readonly name: string; readonly value: string } | undefined {
  if (node.op !== '==') return undefined;
  const [left, right] = node.args;
  const [constant, other] = left.op === 'value' ? [left, right] : [right, left];
  if (constant.op !== 'value' || typeof constant.args !== 'string') return undefined;
  if (other.op === 'value') return undefined;
  return { name: serialize(other), value: constant.args };
}
