import type { OnSuccessConfig } from '../config/rule-config.ts';
import type { Priority } from '../model/priority.ts';
import type { Verdict } from './compile-expression.ts';
import type { CompiledRule } from './compile-rules.ts';
import { missingParts } from './completion.ts';
import { mostUrgent, uniteDeliveries, type PlannedDelivery } from './planned-delivery.ts';
import type { RuleFacts } from './rule-facts.ts';

/** A rule that matches and waits until the study is complete. */
export interface WaitingRule {
  readonly rule: string;
  /** What it waits for, as text. */
  readonly missing: readonly string[];
  /** 0 = forever. */
  readonly timeoutMs: number;
}

/** Result of the rules for one study. */
export interface Routing {
  /** Names of the rules that apply now, in the order of the file. */
  readonly rules: readonly string[];
  readonly deliveries: readonly PlannedDelivery[];
  /** Names of targets, and of groups that select one of theirs. */
  readonly targets: readonly string[];
  /** The most urgent of the rules that apply. */
  readonly priority: Priority;
  readonly waiting: readonly WaitingRule[];
  readonly onSuccess: OnSuccessConfig | undefined;
}

export interface RoutingOptions {
  /** Whether a rule has waited long enough for the study to become complete. Default never. */
  readonly hasWaited?: (rule: string) => boolean;
  /** The study is still being received: only rules that begin before it is stable. */
  readonly isArriving?: boolean;
}

/**
 * Result of a rule for a study.
 *
 * - `applies`: it matches, and the study is sent
 * - `waits`: it matches, and the study is not complete yet
 * - `no-match`: its expression is false, or it is for other sources
 * - `stopped`: an earlier matching rule has `stop`
 * - `not-needed`: it is a fallback, and another rule matches
 */
export type RuleOutcome = 'applies' | 'waits' | 'no-match' | 'stopped' | 'not-needed';

export interface RuleVerdict extends Verdict {
  readonly rule: string;
  /** As written in the rule. */
  readonly targets: readonly string[];
  readonly outcome: RuleOutcome;
}

/**
 * Applies the rules in order, then, if none of them matches, the fallbacks. A study that no rule matches is not sent:
 * `deliveries` is then empty.
 */
export function routeStudy(rules: readonly CompiledRule[], study: RuleFacts, options: RoutingOptions = {}): Routing {
  // The same present time for all rules.
  const facts = { now: new Date(), ...study };
  const matched = matchRules(rules, facts);
  const waiting: WaitingRule[] = [];
  const applying = matched.filter((rule) => {
    if (options.isArriving && rule.start === 'stable') return false;
    const missing =
      rule.complete && !(options.hasWaited?.(rule.name) ?? false) ? missingParts(rule.complete, facts) : [];
    if (missing.length > 0) waiting.push({ rule: rule.name, missing, timeoutMs: rule.complete?.timeout ?? 0 });
    return missing.length === 0;
  });
  const deliveries = uniteDeliveries(applying.flatMap((rule) => rule.deliveries));
  return {
    rules: applying.map((rule) => rule.name),
    deliveries,
    targets: [...new Set(deliveries.map(({ to }) => to))],
    priority: mostUrgent(applying.map((rule) => rule.config.priority)),
    waiting,
    onSuccess: uniteOnSuccess(applying.flatMap((rule) => rule.config.onSuccess ?? [])),
  };
}

/** For every rule, its result for the study and which part of its expression decided. */
export function explainRules(
  rules: readonly CompiledRule[],
  facts: RuleFacts,
  options: RoutingOptions = {},
): RuleVerdict[] {
  const applying = new Set(matchRules(rules, facts).map((rule) => rule.name));
  const waiting = new Map(routeStudy(rules, facts, options).waiting.map((one) => [one.rule, one]));
  let stop: string | undefined;
  return rules.map((rule) => {
    const named = { rule: rule.name, targets: rule.config.targets };
    const verdict = explain(rule, facts);
    if (!verdict.matched) return { ...named, ...verdict, outcome: 'no-match' as const };
    if (!applying.has(rule.name)) {
      if (rule.config.fallback && stop === undefined) {
        return {
          ...named,
          ...verdict,
          matched: false,
          because: 'is a fallback, and another rule matches',
          outcome: 'not-needed',
        };
      }
      return { ...named, ...verdict, matched: false, because: `comes after ${stop}, which stops`, outcome: 'stopped' };
    }
    if (rule.config.stop) stop ??= rule.name;
    const wait = waiting.get(rule.name);
    if (!wait) return { ...named, ...verdict, outcome: 'applies' };
    return {
      ...named,
      ...verdict,
      because: `${verdict.because}; waits for ${wait.missing.join(', ')}`,
      outcome: 'waits',
    };
  });
}

/** The matching rules: the non-fallbacks up to the first one with `stop`, otherwise the fallbacks in the same way. */
function matchRules(rules: readonly CompiledRule[], facts: RuleFacts): CompiledRule[] {
  const matched = firstToStop(
    rules.filter((rule) => !rule.config.fallback),
    facts,
  );
  return matched.length > 0
    ? matched
    : firstToStop(
        rules.filter((rule) => rule.config.fallback),
        facts,
      );
}

function firstToStop(rules: readonly CompiledRule[], facts: RuleFacts): CompiledRule[] {
  const matched: CompiledRule[] = [];
  for (const rule of rules) {
    if (!isForSource(rule, facts) || !(rule.when?.evaluate(facts) ?? true)) continue;
    matched.push(rule);
    if (rule.config.stop) break;
  }
  return matched;
}

function explain(rule: CompiledRule, facts: RuleFacts): Verdict {
  if (!isForSource(rule, facts)) return { matched: false, because: `is not for source ${facts.source}`, parts: [] };
  return rule.when?.explain(facts) ?? { matched: true, because: 'matches every study', parts: [] };
}

function isForSource(rule: CompiledRule, facts: RuleFacts): boolean {
  return rule.config.sources === undefined || rule.config.sources.includes(facts.source);
}

function uniteOnSuccess(all: readonly OnSuccessConfig[]): OnSuccessConfig | undefined {
  if (all.length === 0) return undefined;
  return {
    labels: [...new Set(all.flatMap((one) => one.labels))],
    metadata: Object.assign({}, ...all.map((one) => one.metadata)) as Record<string, string>,
    unprotect: all.some((one) => one.unprotect),
    delete: all.some((one) => one.delete),
  };
}
