import { compileExpression, ExpressionError } from '../rules/compile-expression.ts';
import { compileInstanceFilter } from '../rules/compile-instance-filter.ts';
import { compilePriorCondition } from '../rules/compile-prior-condition.ts';
import { priorsFromSource } from './priors-config.ts';
import type { Problem } from './problem.ts';

type Path = Problem['path'];

/**
 * What refers to something that is not there, and expressions that cannot be used. Works on the raw file, so that a bad
 * value elsewhere does not hide a bad reference.
 */
export function referenceProblems(raw: unknown): Problem[] {
  const known = {
    sources: keysOf(field(raw, 'sources')),
    targets: keysOf(field(raw, 'targets')),
    groups: keysOf(field(raw, 'groups')),
    transforms: keysOf(field(raw, 'transforms')),
  };
  return [
    ...ruleProblems(raw, known),
    ...known.groups.flatMap((name) => [
      ...unknownNames(field(at(raw, 'groups', name), 'targets'), ['groups', name, 'targets'], known.targets, 'targets'),
      ...(known.targets.includes(name)
        ? [{ path: ['groups', name], message: `"${name}" is also the name of a target: rename the group` }]
        : []),
    ]),
    ...known.targets.flatMap((name) => {
      const target = at(raw, 'targets', name);
      return [
        ...unknownName(field(target, 'transform'), ['targets', name, 'transform'], known.transforms, 'transforms'),
        ...unknownName(field(target, 'source'), ['targets', name, 'source'], known.sources, 'sources'),
        ...filterProblems(field(field(target, 'instances'), 'only'), ['targets', name, 'instances', 'only']),
      ];
    }),
  ];
}

type Known = Readonly<Record<'sources' | 'targets' | 'groups' | 'transforms', readonly string[]>>;

function ruleProblems(raw: unknown, known: Known): Problem[] {
  const rules = field(raw, 'rules');
  if (!Array.isArray(rules)) return [];
  const problems: Problem[] = [];
  const seen = new Set<unknown>();
  for (const [index, rule] of rules.entries()) {
    const here = (...keys: (string | number)[]): Path => ['rules', index, ...keys];
    const name = field(rule, 'name');
    if (name !== undefined && seen.has(name)) {
      problems.push({
        path: here('name'),
        message: `"${String(name)}" is the name of an earlier rule: give each rule a unique name`,
      });
    }
    seen.add(name);
    const kinds = known.groups.length > 0 ? 'targets and groups' : 'targets';
    problems.push(
      ...unknownNames(field(rule, 'targets'), here('targets'), [...known.targets, ...known.groups], kinds),
      ...unknownNames(field(rule, 'sources'), here('sources'), known.sources, 'sources'),
      ...unknownName(field(rule, 'transform'), here('transform'), known.transforms, 'transforms'),
      ...conditionProblems(field(rule, 'when'), here('when')),
      ...conditionProblems(field(field(rule, 'complete'), 'when'), here('complete', 'when')),
      ...filterProblems(field(field(rule, 'instances'), 'only'), here('instances', 'only')),
      ...priorsProblems(rule, here('priors'), known),
    );
  }
  return problems;
}

function priorsProblems(rule: unknown, path: Path, known: Known): Problem[] {
  const priors = field(rule, 'priors');
  const named = field(rule, 'targets');
  const own = Array.isArray(named) ? named.map(String) : [];
  return [
    ...unknownName(field(priors, 'from'), [...path, 'from'], [priorsFromSource, ...known.targets], 'targets'),
    ...unknownNames(field(priors, 'targets'), [...path, 'targets'], own, 'targets of this rule'),
    ...expressionProblems(field(priors, 'when'), [...path, 'when'], compilePriorCondition),
  ];
}

function unknownNames(names: unknown, path: Path, known: readonly string[], kind: string): Problem[] {
  if (!Array.isArray(names)) return [];
  return names.flatMap((name: unknown, index) => unknownName(name, [...path, index], known, kind));
}

function unknownName(name: unknown, path: Path, known: readonly string[], kind: string): Problem[] {
  if (typeof name !== 'string' || known.includes(name)) return [];
  const remedy = known.length > 0 ? `: use one of ${known.join(', ')}` : ', there are none';
  return [{ path, message: `"${name}" is not among the ${kind}${remedy}` }];
}

function conditionProblems(text: unknown, path: Path): Problem[] {
  return expressionProblems(text, path, compileExpression);
}

function filterProblems(text: unknown, path: Path): Problem[] {
  return expressionProblems(text, path, compileInstanceFilter);
}

function expressionProblems(text: unknown, path: Path, compile: (text: string) => unknown): Problem[] {
  if (typeof text !== 'string' || text.length === 0) return [];
  try {
    compile(text);
    return [];
  } catch (error) {
    if (error instanceof ExpressionError) return [{ path, message: `the expression cannot be used: ${error.message}` }];
    throw error;
  }
}

function at(raw: unknown, section: string, name: string): unknown {
  return field(field(raw, section), name);
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function keysOf(value: unknown): string[] {
  return typeof value === 'object' && value !== null ? Object.keys(value) : [];
}
