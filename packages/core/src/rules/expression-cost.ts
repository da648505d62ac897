import type { ASTNode } from '@marcbachmann/cel-js';
import { isNode } from './wanted-tags.ts';

/** Macros that run an expression for each element of a list. */
const loops: ReadonlySet<string> = new Set(['exists', 'exists_one', 'all', 'filter', 'map']);
const maxNestedLoops = 2;
/** Maximum number of evaluated parts of an expression with nested loops for each study: 0.2 s. */
const maxSteps = 10_000_000;
/** Assumed length of a list of a study, e.g. its series. */
const assumedLength = 100;
/** Calls that return a text of at most the length of their operand, so that a part of an element stays one. */
const shorteningCalls: ReadonlySet<string> = new Set(['trim', 'lowerAscii', 'upperAscii', 'substring']);
/** Maximum depth of the tree: `a || b || c` has one level for each operator. */
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
export function costProblem(ast: ASTNode): CostProblem | undefined {
  if (isDeeperThan(ast, maxDepth)) {
    const message = `more than ${maxDepth} parts in a row: use \`value in [...]\`, or several rules`;
    return { message, at: 0 };
  }
  const growing = growingBind(ast, new Set());
  if (growing) {
    const message = 'a cel.bind is made from another one, and may double with each: write the first value out instead';
    return { message, at: growing.range.start };
  }
  const nested = nestedLoops(ast);
  if (nested > maxNestedLoops) {
    const message = `${[...loops].join(', ')} are nested ${nested} deep, at most ${maxNestedLoops}: use several rules`;
    return { message, at: ast.range.start };
  }
  if (nested > 1 && steps(ast) > maxSteps) {
    const message = `nested lists may need more than 10 million steps for a study: shorten them, or use several rules`;
    return { message, at: ast.range.start };
  }
  return undefined;
}

/**
 * A `cel.bind(name, value, expression)` whose value has another one in it, or uses the name of one around it: n of them make a
 * value of 2^n parts.
 *
 * @param bound - names of those around the node
 */
function growingBind(node: ASTNode, bound: ReadonlySet<string>): ASTNode | undefined {
  if (node.op === 'rcall' && node.args[0] === 'bind') {
    const [name, value, body] = node.args[2];
    if (value && has(value, (one) => isBind(one) || (one.op === 'id' && bound.has(one.args)))) return node;
    return body && growingBind(body, name?.op === 'id' ? new Set([...bound, name.args]) : bound);
  }
  for (const one of nodesIn(node.args)) {
    const found = growingBind(one, bound);
    if (found) return found;
  }
  return undefined;
}

function isBind(node: ASTNode): boolean {
  return node.op === 'rcall' && node.args[0] === 'bind';
}

function has(node: ASTNode, is: (one: ASTNode) => boolean): boolean {
  return is(node) || nodesIn(node.args).some((one) => has(one, is));
}

/** Parts that are evaluated, with lists of the expression as long as their text. */
function steps(node: ASTNode): number {
  const sum = (parts: readonly ASTNode[]): number => parts.reduce((total, one) => total + steps(one), 0);
  if (node.op !== 'rcall' || !loops.has(node.args[0])) return 1 + sum(nodesIn(node.args));
  const [, list, parts] = node.args;
  const length = Math.max(assumedLength, list.range.end - list.range.start);
  return 1 + steps(list) + length * sum(parts);
}

/** Level by level: a recursion would exceed the stack. */
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

/** `list.map(…)`, `list.map(…).filter(…)`, `(list.map(…) + other)`, if `map` makes elements that may be larger. */
function isMapped(node: ASTNode): boolean {
  if (node.op !== 'rcall') return nodesIn(node.args).some((one) => isMapped(one));
  const [name, list, parts] = node.args;
  return (name === 'map' && !isPartOfElement(parts.at(-1))) || isMapped(list);
}

/** `s`, `s.Modality`, `s["Modality"]`, `s.Modality.trim()` */
function isPartOfElement(node: ASTNode | undefined): boolean {
  if (node?.op === 'id') return true;
  if (node?.op === '.' || node?.op === '.?' || node?.op === '[]' || node?.op === '[?]')
    return isPartOfElement(node.args[0]);
  return node?.op === 'rcall' && shorteningCalls.has(node.args[0]) && isPartOfElement(node.args[1]);
}
