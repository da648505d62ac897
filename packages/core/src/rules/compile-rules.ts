import type { CompletionConfig } from '../config/completion-config.ts';
import type { RuleConfig } from '../config/rule-config.ts';
import type { TargetGroupConfig } from '../config/target-group-config.ts';
import { compileExpression, type CompiledExpression } from './compile-expression.ts';
import { uniteDeliveries, type PlannedDelivery } from './planned-delivery.ts';
import { uniteWanted, type WantedTags } from './wanted-tags.ts';

/** What rules refer to besides targets. */
export interface RuleSetting {
  readonly groups?: Readonly<Record<string, TargetGroupConfig>>;
}

export interface CompiledRule {
  readonly name: string;
  readonly config: RuleConfig;
  readonly when: CompiledExpression | undefined;
  readonly complete: (CompletionConfig & { readonly compiled: CompiledExpression | undefined }) | undefined;
  /** What it asks for when it applies. */
  readonly deliveries: readonly PlannedDelivery[];
}

/**
 * Compiles the rules that are enabled, once for all studies.
 *
 * @throws ExpressionError where an expression cannot be used
 */
export function compileRules(rules: readonly RuleConfig[], setting: RuleSetting = {}): CompiledRule[] {
  return rules.filter((rule) => rule.enabled).map((config) => compileRule(config, setting.groups ?? {}));
}

/** The tags that the rules speak about; those that the source does not know by heart have to be read. */
export function wantedByRules(rules: readonly CompiledRule[]): WantedTags {
  return uniteWanted(
    rules.flatMap(({ when, complete }) => [when, complete?.compiled].flatMap((one) => (one ? [one.wanted] : []))),
  );
}

function compileRule(config: RuleConfig, groups: Readonly<Record<string, TargetGroupConfig>>): CompiledRule {
  const { complete } = config;
  return {
    name: config.name,
    config,
    when: config.when === undefined ? undefined : compileExpression(config.when),
    complete: complete && {
      ...complete,
      compiled: complete.when === undefined ? undefined : compileExpression(complete.when),
    },
    deliveries: uniteDeliveries(config.targets.flatMap((name) => plan(config, name, groups[name]))),
  };
}

function plan(rule: RuleConfig, name: string, group: TargetGroupConfig | undefined): PlannedDelivery[] {
  const shared: Omit<PlannedDelivery, 'to'> = {
    rules: [rule.name],
    priority: rule.priority,
    ...(rule.transform !== undefined && { transform: rule.transform }),
    ...(rule.instances && { selections: [rule.instances] }),
    ...(rule.schedule && { schedules: [rule.schedule] }),
    hold: rule.hold,
    late: rule.late,
  };
  if (!group) return [{ to: name, ...shared }];
  if (group.strategy === 'all') return group.targets.map((target) => ({ to: target, ...shared }));
  return [{ to: name, ...shared, group: { name, strategy: group.strategy, members: group.targets } }];
}
