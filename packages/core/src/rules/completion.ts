import type { CompletionConfig } from '../config/rule-config.ts';
import type { CompiledExpression } from './compile-expression.ts';
import type { RuleFacts } from './rule-facts.ts';

/** What a study lacks to be complete, as texts; empty if it is complete. */
export function missingParts(
  complete: CompletionConfig & { readonly compiled: CompiledExpression | undefined },
  facts: RuleFacts,
): string[] {
  const missing: string[] = [];
  const instances = Number(facts.study['NumberOfStudyRelatedInstances'] ?? 0);
  if (complete.series !== undefined && facts.series.length < complete.series) {
    missing.push(`${complete.series} series (${facts.series.length} are there)`);
  }
  if (complete.instances !== undefined && instances < complete.instances) {
    missing.push(`${complete.instances} instances (${instances} are there)`);
  }
  if (complete.compiled && !complete.compiled.evaluate(facts)) missing.push(`\`${complete.compiled.text}\``);
  return missing;
}
