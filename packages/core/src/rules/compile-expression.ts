import {
  EvaluationError,
  ParseError,
  TypeError as CelTypeError,
  serialize,
  type ASTNode,
  type Environment,
} from '@marcbachmann/cel-js';
import { lookedAt, type DecidingPart } from './deciding-part.ts';
import { costProblem } from './expression-cost.ts';
import { newEnvironment } from './functions.ts';
import { linearMatches, useLinearMatches } from './patterns.ts';
import type { RuleFacts } from './rule-facts.ts';
import { zonedDate } from './zoned-date.ts';
import { partThatNeedsWhole } from './needs-whole.ts';
import { unknownKeyword } from './unknown-keyword.ts';
import { wantedTags, type WantedTags } from './wanted-tags.ts';

/** An expression that cannot be used, with its place: lines and columns count from 1. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
  readonly line: number;
  readonly column: number;
  constructor(text: string, line: number, column: number) {
    super(`line ${line}, column ${column}: ${text}`);
    this.line = line;
    this.column = column;
  }
}

/** Result of an expression, and the part of it that decided. */
export interface Verdict {
  readonly matched: boolean;
  /** The smallest part of the expression that decided, and its result. */
  readonly because: string;
  /** The parts that decided: one, or all of `a && b` when both were true and of `a || b` when both were false. */
  readonly parts: readonly DecidingPart[];
}

export interface CompiledExpression {
  readonly text: string;
  /** The tags to which it refers. */
  readonly wanted: WantedTags;
  /** The part of the expression, as written, whose result may change when more of the study has arrived. */
  readonly needsWhole: string | undefined;
  evaluate(facts: RuleFacts): boolean;
  explain(facts: RuleFacts): Verdict;
}

const environment = newEnvironment()
  .registerVariable('source', 'string')
  .registerVariable('study', 'map')
  .registerVariable('series', 'list')
  .registerVariable('origin', 'map')
  .registerVariable('now', 'google.protobuf.Timestamp');

/**
 * Compiles a CEL expression over {@link RuleFacts}. A missing tag makes the expression false,
 * unless another part of it decides (`a || b`) or `has()` tests it.
 *
 * @throws ExpressionError for syntax errors, an unknown variable, or a result that is not boolean
 */
export function compileExpression(text: string): CompiledExpression {
  const parsed = checkExpression(environment, text);
  return {
    text,
    wanted: wantedTags(parsed.ast),
    needsWhole: partThatNeedsWhole(parsed.ast, text),
    evaluate: (facts) => truth(parsed, facts).matched,
    explain: (facts) => explainWith(environment, text, parsed.ast, facts),
  };
}

/** The variables of a condition of a rule. */
export { environment as ruleEnvironment };

/** The result of a part of a condition, of any type. @throws EvaluationError without a result */
export function evaluatePart(within: Environment, text: string, facts: Readonly<Record<string, unknown>>): unknown {
  return parse(within, text)(facts);
}

/** Parses and type-checks: @throws ExpressionError for what cannot be used as a condition */
export function checkExpression(within: Environment, text: string): ReturnType<Environment['parse']> {
  const parsed = parse(within, text);
  const slow = costProblem(parsed.ast);
  if (slow) throw placed(text, slow.at, slow.message);
  const checked = parsed.check();
  if (!checked.valid) throw toExpressionError(text, checked.error);
  if (checked.type !== 'bool' && checked.type !== 'dyn') {
    throw new ExpressionError(`the expression returns ${checked.type ?? 'no value'}, not true or false`, 1, 1);
  }
  const unknown = unknownKeyword(parsed.ast, text);
  if (unknown) throw placed(text, unknown.at, unknown.message);
  return parsed;
}

function parse(within: Environment, text: string): ReturnType<Environment['parse']> {
  try {
    const parsed = within.parse(text);
    const bad = useLinearMatches(parsed.ast);
    if (!bad) return parsed;
    throw placed(text, bad.at, bad.message);
  } catch (error) {
    if (error instanceof ExpressionError) throw error;
    throw toExpressionError(text, error);
  }
}

function toExpressionError(text: string, error: unknown): ExpressionError {
  if (error instanceof ParseError || error instanceof CelTypeError || error instanceof EvaluationError) {
    return placed(text, error.range?.start ?? 0, error.summary);
  }
  return new ExpressionError(error instanceof Error ? error.message : 'cannot be read', 1, 1);
}

/** An error with the place of an offset. */
function placed(text: string, offset: number, message: string): ExpressionError {
  const { line, column } = placeIn(text, offset);
  return new ExpressionError(message, line, column);
}

function placeIn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

function truth(run: (context: Record<string, unknown>) => unknown, facts: RuleFacts): Omit<Verdict, 'parts'> {
  try {
    const value = run({ ...facts, now: zonedDate(facts.now ?? new Date()) });
    if (typeof value === 'boolean') return { matched: value, because: `is ${value}` };
    return { matched: false, because: 'is neither true nor false' };
  } catch (error) {
    if (error instanceof EvaluationError) return { matched: false, because: missing(error) };
    throw error;
  }
}

function missing(error: EvaluationError): string {
  if (error.code === 'unusable_value') return `cannot be evaluated: ${error.summary}`;
  if (error.code !== 'no_such_key') return `cannot be evaluated: ${error.code}`;
  return `${/: (\w+)/.exec(error.summary)?.[1] ?? 'a tag'} is missing in the study`;
}

/** Descends to the part of `&&` and `||` that decided, and names it. */
export function explainWith(within: Environment, text: string, ast: ASTNode, facts: RuleFacts): Verdict {
  const verdictOf = (node: ASTNode): Verdict => explainWith(within, text, node, facts);
  const whole = truth(parse(within, serialize(ast)), facts);
  if (ast.op === '&&' || ast.op === '||') {
    const deciding = ast.op === '||';
    const verdicts: Verdict[] = [];
    for (const operand of operandsOf(ast, ast.op)) {
      const verdict = verdictOf(operand);
      if (whole.matched === deciding && verdict.matched === deciding) return verdict;
      verdicts.push(verdict);
    }
    // No single part decided: all of `a && b` were true, or all of `a || b` false.
    return {
      matched: whole.matched,
      because: verdicts.map(({ because }) => because).join('; '),
      parts: verdicts.flatMap(({ parts }) => parts),
    };
  }
  const own = written(text, ast);
  const { line, column } = placeIn(text, ast.range.start);
  return {
    matched: whole.matched,
    because: `\`${own}\` ${whole.because}`,
    parts: [{ text: own, line, column, result: whole.because, values: lookedAt(ast, own, facts) }],
  };
}

/** `a`, `b` and `c` of `a || b || c`, so that each is evaluated once. */
function operandsOf(node: ASTNode, op: '&&' | '||'): ASTNode[] {
  const operands: ASTNode[] = [];
  for (let at = node; ; [at] = at.args) {
    if (at.op !== op) return [at, ...operands.toReversed()];
    operands.push(at.args[1]);
  }
}

/** A part as written; the parser's ranges omit parentheses, which are added again. */
function written(text: string, node: ASTNode): string {
  const own = text.slice(node.range.start, node.range.end);
  let depth = 0;
  for (const character of own.replaceAll(/"[^"]*"|'[^']*'/g, '')) {
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (depth < 0) break;
  }
  return depth === 0 ? own : serialize(node).replaceAll(`.${linearMatches}(`, '.matches(');
}
