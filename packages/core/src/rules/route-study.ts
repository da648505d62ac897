import type { Priority } from '../model/priority.ts';
import { priorities } from '../model/priority.ts';
import type { RuleConfig } from '../config/rule-config.ts';
import { compileExpression, type CompiledExpression, type Verdict } from './compile-expression.ts';
import type { RuleFacts } from './rule-facts.ts';

export interface CompiledRule {
  readonly name: string;
  readonly config: RuleConfig;
  readonly when: CompiledExpression | undefined;
}

/** What the rules say about one study. */
export interface Routing {
  /** Names of the rules that matched, in the order of the file. */
  readonly rules: readonly string[];
  readonly targets: readonly string[];
  /** The most urgent of the rules that matched. */
  readonly priority: Priority;
}

export interface RuleVerdict extends Verdict {
  readonly rule: string;
  readonly targets: readonly string[];
}

/** @throws ExpressionError where an expression cannot be used */
export function compileRules(rules: readonly RuleConfig[]): CompiledRule[] {
  return rules
    .filter((rule) => rule.enabled)
    .map((config) => ({
      name: config.name,
      config,
      when: config.when === undefined ? undefined : compileExpression(config.when),
    }));
}

/** Applies the rules in order. A study that no rule matches goes nowhere: `targets` is then empty. */
export function routeStudy(rules: readonly CompiledRule[], facts: RuleFacts): Routing {
  const matched = rules.filter((rule) => appliesTo(rule, facts) && (rule.when?.evaluate(facts) ?? true));
  const urgency = matched.map((rule) => priorities.indexOf(rule.config.priority));
  return {
    rules: matched.map((rule) => rule.name),
    targets: [...new Set(matched.flatMap((rule) => rule.config.targets))],
    priority: priorities[urgency.length > 0 ? Math.min(...urgency) : priorities.indexOf('normal')] ?? 'normal',
  };
}

/** For every rule, whether it matches and which part of its expression decided. */
export function explainRules(rules: readonly CompiledRule[], facts: RuleFacts): RuleVerdict[] {
  return rules.map((rule) => {
    const named = { rule: rule.name, targets: rule.config.targets };
    if (!appliesTo(rule, facts)) return { ...named, matched: false, because: `is not for source ${facts.source}` };
    return { ...named, ...(rule.when?.explain(facts) ?? { matched: true, because: 'matches every study' }) };
  });
}

function appliesTo(rule: CompiledRule, facts: RuleFacts): boolean {
  return rule.config.sources === undefined || rule.config.sources.includes(facts.source);
}
