import type { Config } from '../config-schema.ts';
import type { Problem } from '../problem.ts';

/** Rules after one that ends the list for every study, and fallbacks that are never evaluated. */
export function ruleOrderWarnings(config: Config): Problem[] {
  const problems: Problem[] = [];
  const all = Object.keys(config.sources);
  const ended = new Map<string, string>();
  const matched = new Map<string, string>();
  for (const [index, rule] of config.rules.entries()) {
    if (!rule.enabled) continue;
    const sources = rule.sources ?? all;
    const before = rule.fallback ? undefined : coveredBy(sources, ended);
    if (before !== undefined) {
      const message = `never applies: the rule "${before}" above it matches every study and stops the evaluation (stop: true); move this rule up, or add a condition to that rule`;
      problems.push({ path: ['rules', index], message });
      continue;
    }
    if (rule.when !== undefined || rule.fallback) continue;
    for (const source of sources) {
      if (!matched.has(source)) matched.set(source, rule.name);
      if (rule.stop && !ended.has(source)) ended.set(source, rule.name);
    }
  }
  for (const [index, rule] of config.rules.entries()) {
    if (!rule.enabled || !rule.fallback) continue;
    const by = coveredBy(rule.sources ?? all, matched);
    if (by === undefined) continue;
    const message = `never applies: fallback rules are for studies that no other rule matches, and "${by}" matches every study`;
    problems.push({
      path: ['rules', index, 'fallback'],
      message: `${message}; add a condition to that rule, or remove this rule`,
    });
  }
  return problems;
}

/** The rule that covers each of the sources, that of the first source if there are several; undefined if one is not covered. */
function coveredBy(sources: readonly string[], rules: ReadonlyMap<string, string>): string | undefined {
  const names = sources.map((source) => rules.get(source));
  return names.every((name) => name !== undefined) ? names[0] : undefined;
}

/** Unused parts of the configuration. */
export function unusedWarnings(config: Config): Problem[] {
  const rules = config.rules.filter(({ enabled }) => enabled);
  if (rules.length === 0) {
    const why = config.rules.length === 0 ? 'there are no rules' : 'every rule is disabled (enabled: false)';
    return [{ path: ['rules'], message: `${why}: studies are only sent manually` }];
  }
  const named = new Set(rules.flatMap(({ targets }) => targets));
  const reached = new Set([...named].flatMap((name) => config.groups[name]?.targets ?? [name]));
  const transforms = new Set([...rules, ...Object.values(config.targets)].flatMap(({ transform }) => transform ?? []));
  const problems: Problem[] = [];
  for (const name of Object.keys(config.groups)) {
    if (!named.has(name))
      problems.push({ path: ['groups', name], message: 'no rule uses this group: it receives no study' });
  }
  for (const [name, { enabled }] of Object.entries(config.targets)) {
    if (!reached.has(name))
      problems.push({
        path: ['targets', name],
        message: 'no rule sends to this target: it receives manual deliveries only',
      });
    else if (!enabled) {
      const message = 'rules send to this target, but it is disabled: its deliveries wait until it is enabled';
      problems.push({ path: ['targets', name, 'enabled'], message });
    }
  }
  for (const name of Object.keys(config.transforms)) {
    if (!transforms.has(name)) problems.push({ path: ['transforms', name], message: 'no rule and no target uses it' });
  }
  return problems;
}
