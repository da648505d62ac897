import type { Verdict } from './compile-expression.ts';
import { checkExpression, explainWith } from './compile-expression.ts';
import { newEnvironment } from './functions.ts';
import type { RuleFacts } from './rule-facts.ts';

/** Variables of a condition of priors. */
export interface PriorFacts extends Pick<RuleFacts, 'source' | 'study' | 'series' | 'now'> {
  /** The earlier study, as `study`. */
  readonly prior: RuleFacts['study'];
  readonly priorSeries: RuleFacts['series'];
}

/** The variables of a condition of priors. */
export const priorEnvironment = newEnvironment()
  .registerVariable('source', 'string')
  .registerVariable('study', 'map')
  .registerVariable('series', 'list')
  .registerVariable('prior', 'map')
  .registerVariable('priorSeries', 'list')
  .registerVariable('now', 'google.protobuf.Timestamp');

/**
 * Compiles a CEL expression over a study and an earlier one of its patient ({@link PriorFacts}). Missing tags make it
 * false, as in the condition of a rule.
 *
 * @throws ExpressionError for syntax errors, an unknown variable, or a result that is not boolean
 */
export function compilePriorCondition(text: string): (facts: PriorFacts) => Pick<Verdict, 'matched' | 'because'> {
  const { ast } = checkExpression(priorEnvironment, text);
  return (facts) => explainWith(priorEnvironment, text, ast, { ...facts, origin: {} });
}
