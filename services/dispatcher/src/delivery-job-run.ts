import { deliveryData, type DeliveryData, type DeliveryProgress, type TargetConfig } from '@dicom-dispatch/core';
import type { Fence } from '@dicom-dispatch/state/ledger';
import type { Changed, DeliveryEvent, DeliveryPatch, DeliveryRecord } from '@dicom-dispatch/state/records';
import type { AttemptTrace, Logger } from '@dicom-dispatch/runtime';
import type { Job } from 'bullmq';
import type { DeliveryProgressTracker } from './delivery-progress.ts';
import type { DispatcherContext } from './dispatcher-context.ts';
import type { MemoryShare } from './memory-budget.ts';

/** Why an attempt was stopped from outside. */
export type StopReason = 'cancelled' | 'lock-lost' | 'shutdown';

export interface DeliveryJob {
  readonly job: Job;
  readonly token: string;
  /** Aborted with a {@link StopReason}. */
  readonly signal: AbortSignal;
  /** Stops this dispatcher from taking deliveries of the target while its circuit is open. */
  closeGate(): void;
}

/** One run of a delivery's job, before it is decided whether an attempt may begin. */
export interface DeliveryJobRun extends DeliveryJob {
  readonly context: DispatcherContext;
  readonly data: DeliveryData;
  /** Undefined if the target is no longer configured. */
  readonly target: TargetConfig | undefined;
  /** State when the job was taken. */
  readonly record: DeliveryRecord;
  /** Time when the job was taken, by the clock of Redis (ms since 1970). */
  readonly now: number;
  readonly log: Logger;
  /** Writes a line into the log of the job, where Bull Board shows it. */
  logLine(line: string): void;
}

/** A running attempt. */
export interface Attempt extends DeliveryJobRun {
  /** Number of the attempt, counted over all jobs and manual retries of the delivery. */
  readonly number: number;
  /** Start of the attempt on the monotonic clock of this process, in milliseconds. */
  readonly startedAt: number;
  readonly tracker: DeliveryProgressTracker;
  readonly trace: AttemptTrace;
  /** Name of the ledger of the target; `place` is the address of the target in one line. */
  readonly ledger: string;
  readonly place: string;
  /** Aborted with a {@link StopReason}: by the job, or because an operator has cancelled it. */
  readonly signal: AbortSignal;
  /** Stops watching for requests of operators. */
  unwatch(): void;
  /** Reservations of the attempt in the memory for the bytes of instances. */
  readonly memory: MemoryShare;
  /** SOP Instance UIDs that no other attempt may send to the target meanwhile. */
  readonly claimedUids: Set<string>;
  /** Whether the target has confirmed or rejected an instance. */
  hasAnswered: boolean;
  /** Folds the ledger of a complete delivery. */
  foldLedger: (() => Promise<void>) | undefined;
}

export function openJobRun(
  context: DispatcherContext,
  delivery: DeliveryJob,
  { record, now }: { readonly record: DeliveryRecord; readonly now: number },
): DeliveryJobRun {
  const { job } = delivery;
  // The study task of the job may be one that brings the study to more targets.
  const parsed = deliveryData.safeParse(job.data);
  // The job of a delivery that began during reception has the data of that time.
  const isOld = parsed.success && parsed.data.arriving !== undefined;
  const data = parsed.success && !isOld ? parsed.data : deliveryData.parse(record);
  return {
    ...delivery,
    context,
    data,
    target: context.config.targets[data.target],
    record,
    now,
    log: context.log.child({ delivery: data.deliveryId, study: data.studyInstanceUid, target: data.target }),
    logLine: (line) => void job.log(`${new Date().toISOString()} ${line}`).catch(() => {}),
  };
}

/** The lock of the delivery's job, under which it writes. */
export function fenceOf({ context, job, token }: Pick<DeliveryJobRun, 'context' | 'job' | 'token'>): Fence {
  return { lockKey: `${context.config.redis.prefix}:${job.queueName}:${job.id}:lock`, token };
}

/** Writes into the delivery's record, unless another worker has the delivery by now. */
export function report(
  jobRun: DeliveryJobRun,
  patch: DeliveryPatch,
  event?: Omit<DeliveryEvent, 'at'>,
): Promise<Changed> {
  return jobRun.context.records.change(jobRun.data.deliveryId, { patch, event, fence: fenceOf(jobRun) });
}

/** Counts of instances for the record; empty until their number is known. */
export function countsOf({ data, tracker }: Pick<Attempt, 'data' | 'tracker'>): Counts {
  return tracker.counts.total > 0 ? countsFor(data, tracker.counts) : {};
}

type Counts = Pick<DeliveryPatch, 'arrived' | 'total' | 'confirmed' | 'quarantined'>;

/** An attempt that began during reception does not count instances that have arrived since the study was complete. */
export function countsFor(
  { arriving }: DeliveryData,
  { total, confirmed, quarantined }: Pick<DeliveryProgress, 'total' | 'confirmed' | 'quarantined'>,
): Counts {
  return { ...(arriving === undefined ? { total } : { arrived: total }), confirmed, quarantined };
}
