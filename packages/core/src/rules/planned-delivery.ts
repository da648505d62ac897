import type { InstanceSelection } from '../config/instance-selection.ts';
import { starts, type LatePolicy, type Start } from '../config/rule-config.ts';
import type { PriorTerms } from '../config/priors-config.ts';
import type { Schedule } from '../config/schedule-config.ts';
import type { GroupStrategy } from '../config/target-group-config.ts';
import { priorities, type Priority } from '../model/priority.ts';

/** A delivery as requested by rules, before a group has selected its member. */
export interface PlannedDelivery {
  /** Name of a target, or of a group that chooses one of its members. */
  readonly to: string;
  readonly group?: { readonly name: string; readonly strategy: GroupStrategy; readonly members: readonly string[] };
  readonly rules: readonly string[];
  readonly priority: Priority;
  /** Name of the rules' transform; the target may have its own. */
  readonly transform?: string;
  /** An instance is sent when any of these selects it; without, all are. */
  readonly selections?: readonly InstanceSelection[];
  /** It may start when any of these is open; without, always. */
  readonly schedules?: readonly Schedule[];
  /** Earlier studies of the patient that are sent along: the terms of each of these. */
  readonly priors?: readonly PriorTerms[];
  readonly hold: boolean;
  readonly late: LatePolicy;
  /** Default `stable`. */
  readonly start?: Start;
}

/** The late policy that sends most is last. */
const byReach: readonly LatePolicy[] = ['never', 'difference', 'all'];

/**
 * Combines deliveries that are one: several rules that send a study to the same target in the same form. Each rule is
 * fulfilled: instances that any of them selects are sent, with the highest priority, as soon as any of them allows it.
 */
export function uniteDeliveries<T extends PlannedDelivery>(
  planned: readonly T[],
  keyOf: (one: T) => string = (one) => `${one.to} ${one.transform ?? ''}`,
): T[] {
  const united = new Map<string, T>();
  for (const one of planned) {
    const key = keyOf(one);
    const known = united.get(key);
    united.set(key, known ? unite(known, one) : one);
  }
  return [...united.values()];
}

function unite<T extends PlannedDelivery>(one: T, other: T): T {
  const { selections: _, schedules: __, group, start: ___, priors: ____, ...rest } = one;
  const asked = [...(one.priors ?? []), ...(other.priors ?? [])];
  // A rule may name a target twice, directly and by a group.
  const priors = [...new Map(asked.map((terms) => [JSON.stringify(terms), terms])).values()];
  const start = starts.find((each) => each === one.start || each === other.start);
  return {
    ...rest,
    // If it is also named directly, it stays with this target.
    ...(group && other.group && { group }),
    rules: [...new Set([...one.rules, ...other.rules])],
    priority: mostUrgent([one.priority, other.priority]),
    ...both('selections', one.selections, other.selections),
    ...both('schedules', one.schedules, other.schedules),
    ...(priors.length > 0 && { priors }),
    hold: one.hold && other.hold,
    ...(start && { start }),
    late: byReach[Math.max(byReach.indexOf(one.late), byReach.indexOf(other.late))] ?? 'difference',
  } as unknown as T;
}

/** A list of limits, any of which may be met; if one side has none there is no limit. */
function both<K extends string, V>(
  name: K,
  one: readonly V[] | undefined,
  other: readonly V[] | undefined,
): { [Key in K]?: readonly V[] } {
  if (!one || !other) return {};
  const seen = new Map([...one, ...other].map((value) => [JSON.stringify(value), value]));
  return { [name]: [...seen.values()] } as unknown as { [Key in K]?: readonly V[] };
}

/** `normal` without any. */
export function mostUrgent(all: readonly Priority[]): Priority {
  return priorities[Math.min(...all.map((priority) => priorities.indexOf(priority)))] ?? 'normal';
}
