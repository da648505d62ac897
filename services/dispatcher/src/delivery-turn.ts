import { deliveryData, type DeliveryData, type TargetConfig } from '@dicom-dispatch/core';
import type { Fence } from '@dicom-dispatch/state/ledger';
import type { DeliveryEvent, DeliveryPatch } from '@dicom-dispatch/state/records';
import type { Logger } from '@dicom-dispatch/runtime';
import type { Job } from 'bullmq';
import type { DeliveryProgressTracker } from './delivery-progress.ts';
import type { DispatcherContext } from './dispatcher-context.ts';

/** Why an attempt was stopped from outside. */
export type StopReason = 'cancelled' | 'lock-lost' | 'shutdown';

export interface DeliveryJob {
  readonly job: Job;
  readonly token: string;
  /** Aborted with a {@link StopReason}. */
  readonly signal: AbortSignal;
  /** Keeps all workers from taking deliveries of this target for a while. */
  pauseTarget(ms: number): Promise<void>;
}

/** One turn of a delivery's job, before it is decided whether an attempt may begin. */
export interface DeliveryTurn extends DeliveryJob {
  readonly context: DispatcherContext;
  readonly data: DeliveryData;
  /** Undefined when it is no longer configured. */
  readonly target: TargetConfig | undefined;
  readonly log: Logger;
  /** Writes a line into the log of the job, where Bull Board shows it. */
  say(line: string): void;
}

/** An attempt that has begun. */
export interface Attempt extends DeliveryTurn {
  /** Of the job, 1 for the first: what BullMQ counts. */
  readonly number: number;
  /** Of the delivery, over all its jobs and retries by hand. */
  readonly numberInAll: number;
  readonly startedAt: number;
  readonly tracker: DeliveryProgressTracker;
  /** Which ledger says what is at the target, and where that is. */
  readonly ledger: string;
  readonly place: string;
  /** Whether the target has let us in. */
  isConnected: boolean;
}

export function openTurn(context: DispatcherContext, delivery: DeliveryJob): DeliveryTurn {
  const { job } = delivery;
  const data = deliveryData.parse(job.data);
  return {
    ...delivery,
    context,
    data,
    target: context.config.targets[data.target],
    log: context.log.child({ delivery: data.deliveryId, study: data.studyInstanceUid, target: data.target }),
    say: (line) => void job.log(`${new Date().toISOString()} ${line}`).catch(() => {}),
  };
}

/** The lock of the delivery's job, under which it writes. */
export function fenceOf({ context, job, token }: DeliveryTurn): Fence {
  return { lockKey: `${context.config.redis.prefix}:${job.queueName}:${job.id}:lock`, token };
}

/** Writes into the delivery's record, unless another worker has the delivery by now. */
export function tell(turn: DeliveryTurn, patch: DeliveryPatch, event?: Omit<DeliveryEvent, 'at'>): Promise<boolean> {
  return turn.context.records.update(turn.data.deliveryId, patch, event, fenceOf(turn));
}

/** What the record shall say of the instances, once it is known how many there are. */
export function countsOf({ tracker }: Attempt): Pick<DeliveryPatch, 'total' | 'confirmed' | 'quarantined'> {
  return tracker.counts.total > 0 ? tracker.counts : {};
}
