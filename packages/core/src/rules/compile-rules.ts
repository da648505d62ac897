import type { CompletionConfig, RuleConfig, Start } from '../config/rule-config.ts';
import type { PriorTerms } from '../config/priors-config.ts';
import type { TargetGroupConfig } from '../config/target-group-config.ts';
import { compileExpression, type CompiledExpression } from './compile-expression.ts';
import { uniteDeliveries, type PlannedDelivery } from './planned-delivery.ts';
import { startsOf, type TargetsOfRules } from './starts-of-rules.ts';
import { uniteWanted, type WantedTags } from './wanted-tags.ts';

/** Groups and targets to which rules refer. */
export interface RuleOptions {
  readonly groups?: Readonly<Record<string, TargetGroupConfig>>;
  readonly targets?: TargetsOfRules;
}

export interface CompiledRule {
  readonly name: string;
  readonly config: RuleConfig;
  readonly when: CompiledExpression | undefined;
  readonly complete: (CompletionConfig & { readonly compiled: CompiledExpression | undefined }) | undefined;
  /** When its deliveries begin. */
  readonly start: Start;
  /** Why they begin when the study is stable although the rule requests an earlier start. */
  readonly whyStable: string | undefined;
  /** Terms of the rule if it applies. */
  readonly deliveries: readonly PlannedDelivery[];
}

/**
 * Compiles the rules that are enabled, once for all studies.
 *
 * @throws ExpressionError where an expression cannot be used
 */
export function compileRules(rules: readonly RuleConfig[], options: RuleOptions = {}): CompiledRule[] {
  const enabled = rules.filter((rule) => rule.enabled);
  const compiled = enabled.map((rule) => (rule.when === undefined ? undefined : compileExpression(rule.when)));
  const begin = startsOf(enabled, compiled, options);
  return enabled.map((config, index) =>
    compileRule(config, compiled[index], begin[index] ?? { start: 'stable', why: undefined }, options.groups ?? {}),
  );
}

/** Tags used by the rules; those that are not in the source's database must be read from files. */
export function wantedByRules(rules: readonly CompiledRule[]): WantedTags {
  return uniteWanted(
    rules.flatMap(({ when, complete }) => [when, complete?.compiled].flatMap((one) => (one ? [one.wanted] : []))),
  );
}

function compileRule(
  config: RuleConfig,
  when: CompiledExpression | undefined,
  { start, why }: { readonly start: Start; readonly why: string | undefined },
  groups: Readonly<Record<string, TargetGroupConfig>>,
): CompiledRule {
  const { complete } = config;
  return {
    name: config.name,
    config,
    when,
    complete: complete && {
      ...complete,
      compiled: complete.when === undefined ? undefined : compileExpression(complete.when),
    },
    start,
    whyStable: why,
    deliveries: uniteDeliveries(config.targets.flatMap((name) => plan(config, start, name, groups[name]))),
  };
}

function plan(rule: RuleConfig, start: Start, name: string, group: TargetGroupConfig | undefined): PlannedDelivery[] {
  const priors = priorTermsOf(rule, name);
  const shared: Omit<PlannedDelivery, 'to'> = {
    rules: [rule.name],
    priority: rule.priority,
    ...(rule.transform !== undefined && { transform: rule.transform }),
    ...(rule.instances && { selections: [rule.instances] }),
    ...(rule.schedule && { schedules: [rule.schedule] }),
    ...(priors && { priors: [priors] }),
    hold: rule.hold,
    late: rule.late,
    ...(start !== 'stable' && { start }),
  };
  if (!group) return [{ to: name, ...shared }];
  if (group.strategy === 'all') return group.targets.map((target) => ({ to: target, ...shared }));
  return [{ to: name, ...shared, group: { name, strategy: group.strategy, members: group.targets } }];
}

/** @param name - a target or group of the rule, as written there */
function priorTermsOf({ name: rule, priors }: RuleConfig, name: string): PriorTerms | undefined {
  if (!priors || (priors.targets && !priors.targets.includes(name))) return undefined;
  const { targets: _, ...terms } = priors;
  return { rule, ...terms };
}
