import { compileExpression, ExpressionError } from '../rules/compile-expression.ts';
import { configSchema, type Config, type TargetSchema } from './config-schema.ts';
import { toProblems, type Problem } from './problem.ts';

export type ParsedConfig =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Checks a configuration (as read from YAML, secrets in place) as a whole: shapes, values, and what refers to what.
 * All problems are found at once.
 */
export function parseConfig(raw: unknown, targetSchemas: readonly TargetSchema[]): ParsedConfig {
  const parsed = configSchema(targetSchemas).safeParse(raw ?? {});
  const problems = [...(parsed.success ? [] : toProblems(parsed.error, raw)), ...referenceProblems(raw)];
  if (parsed.success && problems.length === 0) return { ok: true, config: parsed.data };
  return { ok: false, problems };
}

/** Works on the raw file, so that a bad value elsewhere does not hide a bad reference. */
function referenceProblems(raw: unknown): Problem[] {
  const sources = keysOf(field(raw, 'sources'));
  const targets = keysOf(field(raw, 'targets'));
  const rules = field(raw, 'rules');
  if (!Array.isArray(rules)) return [];
  const problems: Problem[] = [];
  const seen = new Set<unknown>();
  for (const [index, rule] of rules.entries()) {
    const name = field(rule, 'name');
    if (name !== undefined && seen.has(name)) {
      problems.push({
        path: ['rules', index, 'name'],
        message: `"${String(name)}" is the name of an earlier rule: give each rule its own`,
      });
    }
    seen.add(name);
    problems.push(...unknownNames(rule, index, 'targets', targets), ...unknownNames(rule, index, 'sources', sources));
    const when = field(rule, 'when');
    if (typeof when === 'string' && when.length > 0)
      problems.push(...expressionProblems(when, ['rules', index, 'when']));
  }
  return problems;
}

function unknownNames(rule: unknown, index: number, key: 'targets' | 'sources', known: readonly string[]): Problem[] {
  const names = field(rule, key);
  if (!Array.isArray(names)) return [];
  return names.flatMap((name, at): Problem[] =>
    typeof name !== 'string' || known.includes(name)
      ? []
      : [
          {
            path: ['rules', index, key, at],
            message: `"${name}" is not among the ${key}${known.length > 0 ? `: use one of ${known.join(', ')}` : ', there are none'}`,
          },
        ],
  );
}

function expressionProblems(text: string, path: Problem['path']): Problem[] {
  try {
    compileExpression(text);
    return [];
  } catch (error) {
    if (error instanceof ExpressionError) return [{ path, message: `the expression cannot be used: ${error.message}` }];
    throw error;
  }
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function keysOf(value: unknown): string[] {
  return typeof value === 'object' && value !== null ? Object.keys(value) : [];
}
