import type { InstanceSelection } from '../config/instance-selection.ts';
import type { RuleConfig, Start } from '../config/rule-config.ts';
import type { TargetGroupConfig } from '../config/target-group-config.ts';
import type { CompiledExpression } from './compile-expression.ts';
import { compileSelection } from './select-instances.ts';

/** Target types whose handlers can send a study in parts, before it is complete. */
export const typesThatSendParts: ReadonlySet<string> = new Set(['dicom', 'dicom-tls', 'dicomweb', 'folder', 'orthanc']);

/** Properties of targets and groups that determine when rules may start. */
export type TargetsOfRules = Readonly<
  Record<string, { readonly type: string; readonly instances?: InstanceSelection | undefined }>
>;

export interface StartOfRule {
  readonly start: Start;
  /** Why it is `stable` although the rule requests an earlier start. */
  readonly why: string | undefined;
}

/**
 * When the deliveries of each rule begin. A rule whose result needs the complete study, or whose target only accepts complete
 * studies, begins when the study is stable.
 *
 * @param rules - in their order, the enabled ones
 * @param conditions - of each rule
 */
export function startsOf(
  rules: readonly RuleConfig[],
  conditions: readonly (CompiledExpression | undefined)[],
  options: {
    readonly groups?: Readonly<Record<string, TargetGroupConfig>>;
    readonly targets?: TargetsOfRules;
  },
): StartOfRule[] {
  /** An earlier rule with `stop` whose result is not known early. */
  let stop: string | undefined;
  return rules.map((rule, index) => {
    const part = conditions[index]?.needsWhole;
    const answered = part === undefined ? undefined : `\`${part}\` needs the complete study`;
    const why = answered ?? whyStable(rule, stop);
    if (rule.stop && !rule.fallback && mayChange(conditions[index])) stop ??= rule.name;
    if (rule.start === 'stable') return { start: 'stable', why: undefined };
    return why === undefined ? { start: rule.start, why } : { start: 'stable', why };
  });

  /** A rule that stops others needs a definite result. */
  function mayChange(condition: CompiledExpression | undefined): boolean {
    return condition !== undefined && (condition.needsWhole !== undefined || condition.wanted.series.size > 0);
  }

  function whyStable(rule: RuleConfig, before: string | undefined): string | undefined {
    if (rule.complete) return '`complete` waits until the study is complete';
    if (rule.fallback) return 'a fallback depends on the result of the other rules for the complete study';
    if (rule.late === 'all') return '`late: all` sends the complete study';
    if (before !== undefined)
      return `the rule "${before}" before it stops, and needs the complete study to be answered`;
    for (const name of rule.targets.flatMap((one) => options.groups?.[one]?.targets ?? [one])) {
      const target = options.targets?.[name];
      if (!target) continue;
      if (!typesThatSendParts.has(target.type)) {
        return `the target "${name}" of type ${target.type} accepts complete studies only`;
      }
      const [tag] = compileSelection(target.instances, rule.instances && [rule.instances]).wanted;
      if (tag !== undefined) return `the selection of instances reads ${tag}, which is only known for a complete study`;
    }
    return undefined;
  }
}
