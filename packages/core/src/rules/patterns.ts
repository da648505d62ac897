import type { ASTNode } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';

/** Limit of a pattern: it may come from a tag, too. */
const maxPatternLength = 1000;
/** Maximum sum of the repetitions such as `a{1,500}` in a pattern: RE2 expands them before it searches. */
const maxRepetitions = 2_000;
const maxCached = 200;
const cache = new Map<string, RE2JS>();

/** The name under which `matches` runs: the library's own implementation may take forever. */
export const linearMatches = 'matchesRe2';

/**
 * Whether a part of the text matches a regular expression (RE2, as CEL requires): the time is linear in the
 * length of the text for any expression.
 *
 * @throws Error for an expression that RE2 does not support, such as look-around and back references
 */
export function matchesPattern(text: string, pattern: string): boolean {
  return compilePattern(pattern).test(text);
}

export function compilePattern(pattern: string): RE2JS {
  const known = cache.get(pattern);
  if (known) return known;
  if (pattern.length > maxPatternLength) throw new Error(`longer than ${maxPatternLength} characters`);
  const repetitions = Array.from(pattern.matchAll(/\{[\d,]+\}/g), ([whole]) => Math.max(...numbersIn(whole)));
  if (repetitions.reduce((sum, one) => sum + one, 0) > maxRepetitions) {
    throw new Error(`more than ${maxRepetitions} repetitions in braces`);
  }
  const made = RE2JS.compile(pattern);
  if (cache.size >= maxCached) cache.clear();
  cache.set(pattern, made);
  return made;
}

function numbersIn(text: string): number[] {
  return [0, ...(text.match(/\d+/g) ?? []).map(Number)];
}

/** An invalid regular expression, and its position in the expression. */
export interface BadPattern {
  readonly message: string;
  readonly at: number;
}

/** Makes each `matches` of an expression run in linear time. @returns the first pattern that cannot be used, if any */
export function useLinearMatches(ast: ASTNode): BadPattern | undefined {
  let bad: BadPattern | undefined;
  const walk = (node: unknown): void => {
    if (Array.isArray(node)) {
      for (const one of node) walk(one);
      return;
    }
    if (typeof node !== 'object' || node === null || !('op' in node)) return;
    const call = node as { op: string; args: unknown };
    if (call.op === 'rcall' && Array.isArray(call.args) && call.args[0] === 'matches') {
      call.args[0] = linearMatches;
      bad ??= badPattern((call.args[2] as unknown[] | undefined)?.[0]);
    }
    walk(call.args);
  };
  walk(ast);
  return bad;
}

function badPattern(node: unknown): BadPattern | undefined {
  const { op, args, range } = (node ?? {}) as { op?: string; args?: unknown; range?: { start: number } };
  if (op !== 'value' || typeof args !== 'string') return undefined;
  try {
    compilePattern(args);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : 'cannot be read';
    return { message: `matches(): not a valid RE2 regular expression (${reason})`, at: range?.start ?? 0 };
  }
}
