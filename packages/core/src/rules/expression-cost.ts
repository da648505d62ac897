import type { ASTNode } from '@marcbachmann/cel-js';
import { isNode } from './wanted-tags.ts';

/** Macros that run an expression for each element of a list. */
const loops: ReadonlySet<string> = new Set(['exists', 'exists_one', 'all', 'filter', 'map']);
const maxNestedLoops = 2;
/** Of an expression with nested loops: what it lists itself is run through once for each element of the outer list. */
const maxNestedLength = 2_000;
/** Levels of the tree: `a || b || c` has one for each operator. */
const maxDepth = 1_000;

/** Why an expression would take too long, and where. */
export interface CostProblem {
  readonly message: string;
  readonly at: number;
}

/**
 * What makes the evaluation of an expression slow, however short it is: a list in a list in a list. An expression is
 * evaluated for each study, in one thread with everything else, and cannot be interrupted.
 */
export function costProblem(ast: ASTNode, text: string): CostProblem | undefined {
  if (isDeeperThan(ast, maxDepth)) {
    const message = `more than ${maxDepth} parts in a row: use \`value in [...]\`, or several rules`;
    return { message, at: 0 };
  }
  const nested = nestedLoops(ast);
  if (nested > maxNestedLoops) {
    const message = `${[...loops].join(', ')} are nested ${nested} deep, at most ${maxNestedLoops}: use several rules`;
    return { message, at: ast.range.start };
  }
  if (nested > 1 && text.length > maxNestedLength) {
    const message = `an expression with nested lists has at most ${maxNestedLength} characters: use several rules`;
    return { message, at: ast.range.start };
  }
  return undefined;
}

/** Level by level: a walk that calls itself would run out of stack. */
function isDeeperThan(ast: ASTNode, max: number): boolean {
  let level: ASTNode[] = [ast];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > max) return true;
    level = level.flatMap((node) => nodesIn(node.args));
  }
  return false;
}

function nodesIn(value: unknown): ASTNode[] {
  if (isNode(value)) return [value];
  return Array.isArray(value) ? value.flatMap((one) => nodesIn(one)) : [];
}

/** How often one part may run for each element of a list: loops in loops, and over what `map` has made larger. */
function nestedLoops(node: ASTNode): number {
  const deepest = (parts: readonly ASTNode[]): number => Math.max(0, ...parts.map((one) => nestedLoops(one)));
  if (node.op !== 'rcall' || !loops.has(node.args[0])) return deepest(nodesIn(node.args));
  const [, list, parts] = node.args;
  const inList = nestedLoops(list);
  const inBody = 1 + deepest(parts);
  return isMapped(list) ? inList + inBody : Math.max(inList, inBody);
}

/** `list.map(…)`, `list.map(…).filter(…)` */
function isMapped(list: ASTNode): boolean {
  return list.op === 'rcall' && (list.args[0] === 'map' || isMapped(list.args[1]));
}
