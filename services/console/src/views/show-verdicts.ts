import { explainRules, type CompiledRule, type RoutingOptions, type RuleFacts } from '@dicom-dispatch/core';
import type { RuleVerdictView } from './schemas.ts';

/**
 * Result of each rule of a study, and which part of it decided.
 *
 * @param withValues - with what the parts looked at: patient data
 */
export function showVerdicts(
  rules: readonly CompiledRule[],
  facts: RuleFacts,
  withValues: boolean,
  options: RoutingOptions = {},
): RuleVerdictView[] {
  return explainRules(rules, facts, options).map(({ rule, outcome, matched, because, targets, parts }) => ({
    rule,
    outcome,
    matched,
    because,
    targets: [...targets],
    parts: parts.map((part) => ({
      ...part,
      values: withValues
        ? part.values.map(({ name, value }) => ({
            name,
            ...(value !== undefined && { value: typeof value === 'string' ? value : [...value] }),
          }))
        : [],
    })),
  }));
}
