import type { CircuitState } from '@dicom-dispatch/cache/circuit';
import type { DeliveryState } from '@dicom-dispatch/cache/records';
import type { TargetConfig } from '@dicom-dispatch/core';
import type { OperationsContext } from './context.ts';
import { OperationError } from './operation-error.ts';

/** A target as an operator sees it now. */
export interface TargetState {
  readonly name: string;
  readonly type: string;
  readonly description: string | undefined;
  readonly enabled: boolean;
  readonly paused: boolean;
  readonly circuit: CircuitState;
  readonly counts: Readonly<Record<DeliveryState, number>>;
  /** When the delivery that waits longest was routed (ms since 1970). */
  readonly oldestWaitingAt: number | undefined;
  readonly concurrency: number;
  readonly deliveriesPerMinute: number | undefined;
  readonly attempts: number;
}

/** @throws OperationError `not-found` */
export async function readTarget(context: OperationsContext, name: string): Promise<TargetState> {
  const config = context.config();
  const target: TargetConfig | undefined = config.targets[name];
  if (!target) throw new OperationError('not-found', `there is no target "${name}"`);
  const queue = context.queues.target(name);
  const [paused, circuit, counts, oldestWaitingAt, concurrency, rate] = await Promise.all([
    queue.isPaused(),
    context.circuits.state(name),
    context.records.counts(name),
    context.records.oldestWaiting(name),
    queue.getGlobalConcurrency(),
    queue.getGlobalRateLimit(),
  ]);
  return {
    name,
    type: target.type,
    description: target.description,
    enabled: target.enabled,
    paused,
    circuit,
    counts,
    oldestWaitingAt,
    concurrency: concurrency ?? target.concurrency,
    deliveriesPerMinute: rate ? Math.round((rate.max * 60_000) / rate.duration) : target.rateLimit?.deliveriesPerMinute,
    attempts: target.attempts,
  };
}

export async function readTargets(context: OperationsContext): Promise<TargetState[]> {
  return Promise.all(Object.keys(context.config().targets).map((name) => readTarget(context, name)));
}
