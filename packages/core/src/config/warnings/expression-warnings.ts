import { EvaluationError, serialize, type ASTNode, type Environment } from '@marcbachmann/cel-js';
import { checkExpression, evaluatePart, ruleEnvironment } from '../../rules/compile-expression.ts';
import { priorEnvironment } from '../../rules/compile-prior-condition.ts';
import { wantedTags } from '../../rules/wanted-tags.ts';
import { zonedDate } from '../../rules/zoned-date.ts';
import type { Config } from '../config-schema.ts';
import type { Problem } from '../problem.ts';
import { contradictions } from './contradictions.ts';
import { levelWarnings } from './level-warnings.ts';

/** Conditions that can be read, and can never be true, or never are true or false. */
export function expressionWarnings(config: Config): Problem[] {
  const sources = Object.keys(config.sources);
  return config.rules.flatMap((rule, index) => {
    if (!rule.enabled) return [];
    const of = (within: Environment, text: string | undefined, ...keys: string[]): Problem[] =>
      warningsOf(within, text, rule.sources ?? sources).map((message) => ({
        path: ['rules', index, ...keys],
        message,
      }));
    return [
      ...of(ruleEnvironment, rule.when, 'when'),
      ...of(ruleEnvironment, rule.complete?.when, 'complete', 'when'),
      ...of(priorEnvironment, rule.priors?.when, 'priors', 'when'),
    ];
  });
}

/** @returns problems of an expression, each once */
function warningsOf(within: Environment, text: string | undefined, sources: readonly string[]): string[] {
  if (text === undefined) return [];
  const { ast } = checkExpression(within, text);
  const found = [...clauseWarnings(within, ast, text), ...contradictions(ast, text, sources), ...levelWarnings(ast)];
  return [...new Set(found)];
}

/** A study that has every tag of an expression. Only the types of the values matter. */
function sampleFacts(ast: ASTNode): Record<string, unknown> {
  const { study, series, prior } = wantedTags(ast);
  const withValues = (names: ReadonlySet<string>): Record<string, string> =>
    Object.fromEntries([...names].map((name) => [name, name.endsWith('Time') ? '120000' : '20240101']));
  return {
    source: 'main',
    study: { ...withValues(study), ModalitiesInStudy: ['CT'] },
    series: [withValues(series)],
    prior: { ...withValues(prior), ModalitiesInStudy: ['CT'] },
    priorSeries: [withValues(series)],
    origin: { RemoteAET: 'A', CalledAET: 'B', RemoteIP: '127.0.0.1', Origin: 'DicomProtocol', ArrivedAt: new Date(0) },
    now: zonedDate(new Date(0)),
  };
}

const neverFits = new Set(['no_such_overload', 'no_matching_overload', 'invalid_condition_type']);

/** Checks each part separately, since a deciding part hides the others. */
function clauseWarnings(within: Environment, ast: ASTNode, text: string): string[] {
  const facts = sampleFacts(ast);
  return parts(ast).flatMap(({ node, wrap }) => {
    const own = text.slice(node.range.start, node.range.end);
    const value = (part: ASTNode): unknown => evaluate(within, wrap(serialize(part)), facts);
    const result = value(node);
    if (result instanceof EvaluationError) {
      if (!neverFits.has(result.code)) return [];
      return [`\`${own}\` can never be evaluated, so it counts as false (${result.summary}); ${remedyOf(node)}`];
    }
    if (typeof result !== 'boolean')
      return [`\`${own}\` is ${kindOf(result)}, neither true nor false, so it never matches: compare it with a value`];
    if (node.op === 'in') return notAmong(node, own, value);
    return node.op === '==' || node.op === '!=' ? unequal(node, own, value) : [];
  });
}

function unequal(node: ASTNode & { op: '==' | '!=' }, own: string, value: (part: ASTNode) => unknown): string[] {
  const kinds = node.args.map((part) => kindOf(value(part)));
  if (kinds.includes('unknown') || kinds[0] === kinds[1]) return [];
  const always = node.op === '==' ? 'never true' : 'always true';
  return [`\`${own}\` compares ${kinds[0]} with ${kinds[1]}, so it is ${always}; ${remedyOf(node)}`];
}

/** A value that is searched in a list of another type. */
function notAmong(node: ASTNode & { op: 'in' }, own: string, value: (part: ASTNode) => unknown): string[] {
  const [what, list] = node.args.map(value);
  if (!Array.isArray(list) || list.length === 0 || list.some((one) => kindOf(one) === kindOf(what))) return [];
  const remedy = node.args[1].op === 'id' ? 'write series.exists(s, s.Modality == "CT")' : 'compare texts with texts';
  return [`\`${own}\` is never true: the list has no such elements; ${remedy}`];
}

function remedyOf(node: ASTNode): string {
  const text = serialize(node);
  const list = /\b(study|prior)\.ModalitiesInStudy/.exec(text)?.[0];
  if (list !== undefined) return `it is a list: write "CT" in ${list}`;
  if (node.op === 'in')
    return 'the right side of `in` must be a list: use study.StudyDescription.contains("…") to search in a text';
  if (text.includes('Date')) return 'tags are texts: date(study.StudyDate) < now';
  return 'tags are texts: int(study.X), double(study.X), date(study.X), age(study) convert them';
}

function kindOf(value: unknown): string {
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'bigint' || typeof value === 'number') return 'a number';
  if (typeof value === 'boolean') return 'true or false';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Date) return 'a time';
  return 'unknown';
}

interface Part {
  readonly node: ASTNode;
  /** Creates an expression from a part that refers to the element of a list. */
  readonly wrap: (part: string) => string;
}

/** The parts that `&&`, `||`, `!` and `? :` join, also those inside `exists` and `all` of a list. */
function parts(node: ASTNode, wrap: Part['wrap'] = (part) => part): Part[] {
  if (node.op === '&&' || node.op === '||') return node.args.flatMap((part) => parts(part, wrap));
  if (node.op === '!_') return parts(node.args, wrap);
  if (node.op === '?:') return node.args.flatMap((part) => parts(part, wrap));
  if (node.op !== 'rcall') return [{ node, wrap }];
  const [name, list, [element, body]] = node.args;
  const isOverList = element?.op === 'id' && body !== undefined;
  if (!isOverList || !['exists', 'all', 'exists_one'].includes(name)) return [{ node, wrap }];
  return parts(body, (part) => wrap(`${serialize(list)}.map(${element.args}, ${part})[0]`));
}

function evaluate(within: Environment, text: string, facts: Record<string, unknown>): unknown {
  try {
    return evaluatePart(within, text, facts);
  } catch (error) {
    return error;
  }
}
