import type { CircuitState } from '@dicom-dispatch/state/circuit';
import type { DeliveryState } from '@dicom-dispatch/state/records';
import { describePlace, type TargetConfig } from '@dicom-dispatch/core';
import { describeMove } from '@dicom-dispatch/state/target-places';
import { readOperatorLimits, type OperatorLimits, type PipelineContext } from '@dicom-dispatch/pipeline';
import { oldestBacklog } from './oldest-backlog.ts';
import { isOrphan, listOrphans } from './orphans.ts';
import { OperationError } from '@dicom-dispatch/pipeline';

/** A target as an operator sees it now. */
export interface TargetState {
  readonly name: string;
  readonly type: string;
  readonly description: string | undefined;
  readonly enabled: boolean;
  /** Whether it is no longer in the configuration, but deliveries wait for it. */
  readonly orphaned: boolean;
  readonly paused: boolean;
  readonly circuit: CircuitState;
  readonly counts: Readonly<Record<DeliveryState, number>>;
  /** Since when the oldest delivery has waited that is neither held nor outside its schedule (ms since 1970). */
  readonly oldestWaitingAt: number | undefined;
  /** Current number of parallel deliveries over all dispatchers. */
  readonly concurrency: number;
  /** Current maximum number of deliveries that start per minute; undefined: no limit. */
  readonly deliveriesPerMinute: number | undefined;
  /** Limits that an operator has set, until the configuration is reloaded. */
  readonly setLimits: OperatorLimits;
  readonly attempts: number;
  /** Its address, as text; undefined for a removed one. */
  readonly place: string | undefined;
  /** Set while an operator must decide whether its current place has the same contents. */
  readonly moved: { readonly was: string; readonly text: string } | undefined;
}

/** @throws OperationError `not-found` */
export async function readTarget(context: PipelineContext, name: string): Promise<TargetState> {
  const config = context.config();
  const target: TargetConfig | undefined = config.targets[name];
  const orphaned = await isOrphan(context, name);
  if (!target && !orphaned) throw new OperationError('not-found', `there is no target "${name}"`);
  const queue = context.queues.target(name);
  const [paused, circuit, counts, oldestWaitingAt, concurrency, rate, setLimits, verdict] = await Promise.all([
    queue.isPaused(),
    context.circuits.state(name),
    context.records.counts(name),
    oldestBacklog(context, name),
    queue.getGlobalConcurrency(),
    queue.getGlobalRateLimit(),
    readOperatorLimits(context, name),
    target && context.places.look(name, target),
  ]);
  return {
    name,
    type: target?.type ?? 'removed',
    description: target?.description,
    enabled: target?.enabled ?? false,
    orphaned,
    paused,
    circuit,
    counts,
    oldestWaitingAt,
    concurrency: concurrency ?? target?.concurrency ?? 0,
    deliveriesPerMinute: rate
      ? Math.round((rate.max * 60_000) / rate.duration)
      : setLimits.deliveriesPerMinute === null
        ? undefined
        : target?.rateLimit?.deliveriesPerMinute,
    setLimits,
    attempts: target?.attempts ?? 0,
    place: verdict && describePlace(verdict.place),
    moved:
      verdict?.kind === 'undecided'
        ? { was: describePlace(verdict.was), text: describeMove(name, verdict) }
        : undefined,
  };
}

/** Targets of the configuration, then removed ones for which deliveries still wait. */
export async function readTargets(context: PipelineContext): Promise<TargetState[]> {
  const names = [...Object.keys(context.config().targets), ...(await listOrphans(context))];
  return Promise.all(names.map((name) => readTarget(context, name)));
}
