import type { DispatchError } from '@dicom-dispatch/core';
import {
  act,
  endStates,
  fromNow,
  type Changed,
  type DeliveryEvent,
  type DeliveryPatch,
  type DeliveryState,
  type WakeKind,
} from '@dicom-dispatch/state/records';
import { withSent, type JobEnd } from '@dicom-dispatch/pipeline';
import { fenceOf, type DeliveryJobRun } from './delivery-job-run.ts';

/** Delay of the job of a delivery that waits for an operator: the job runs after this time nevertheless, and changes nothing. */
const farAwayMs = 365 * 86_400_000;

export interface PutOff {
  readonly wake: Exclude<WakeKind, 'attempt'>;
  /** Delay in milliseconds until the delivery continues automatically. If omitted: immediately, or when an operator requests it. */
  readonly inMs?: number;
  readonly patch?: DeliveryPatch;
  readonly event?: Omit<DeliveryEvent, 'at'>;
  /** Whether the job returns to its place in the queue, instead of running after a delay. */
  readonly front?: boolean;
}

/** Postpones the delivery. The record is written first, then the job, which only triggers processing. */
export async function putOff(jobRun: DeliveryJobRun, { wake, inMs, patch, event, front }: PutOff): Promise<JobEnd> {
  const { context, data } = jobRun;
  const changed = await context.records.change(data.deliveryId, {
    ...act('putOff'),
    patch: {
      ...patch,
      state: 'waiting',
      wake,
      worker: null,
      nextAttemptAt: inMs === undefined || front ? null : fromNow(inMs),
    },
    event,
    fence: fenceOf(jobRun),
  });
  if (changed.kind === 'refused') return afterRefusal(jobRun, changed);
  if (front) return { kind: 'front' };
  return { kind: 'later', inMs: inMs ?? (wake === 'person' ? farAwayMs : 1) };
}

/** Result of the job if the record rejected the change of the dispatcher. */
export async function afterRefusal(
  jobRun: DeliveryJobRun,
  { why, state, dueInMs }: Extract<Changed, { readonly kind: 'refused' }>,
): Promise<JobEnd> {
  switch (why) {
    case 'cancelled':
      return endCancelled(jobRun);
    case 'held':
      return putOff(jobRun, { wake: 'person' });
    case 'early':
      return { kind: 'later', inMs: dueInMs };
    case 'state':
      return state !== undefined && endStates.includes(state) ? jobEndOf(state, 'it has ended') : { kind: 'left' };
    case 'missing':
      return { kind: 'failed', reason: 'its record no longer exists' };
    case 'lock-lost':
    case 'elsewhere':
    case 'alive':
    case 'same':
      return { kind: 'left' };
  }
}

/** Ends a delivery that an operator has cancelled, before or during an attempt, or that no rule sends any more. */
export async function endCancelled(jobRun: DeliveryJobRun, patch: DeliveryPatch = {}): Promise<JobEnd> {
  const { context, data } = jobRun;
  const record = await context.records.delivery(data.deliveryId);
  const unwanted = record?.error?.code === 'not-wanted' ? record.error : undefined;
  const text = unwanted ? withSent(unwanted, patch.confirmed ?? record?.confirmed ?? 0) : 'cancelled by an operator';
  const changed = await context.records.change(data.deliveryId, {
    ...act('end'),
    patch: {
      ...patch,
      ...(unwanted && { error: { ...unwanted, message: text } }),
      state: 'cancelled',
      endedAt: fromNow(),
      worker: null,
    },
    event: { kind: 'ended', text },
    fence: fenceOf(jobRun),
  });
  if (changed.kind === 'refused') return afterRefusal(jobRun, changed);
  context.metrics.ended.inc({ target: data.target, state: 'cancelled' });
  return { kind: 'failed', reason: text };
}

/** How the job of an ended delivery ends. */
export function jobEndOf(state: DeliveryState, reason: string, error?: DispatchError): JobEnd {
  if (state === 'delivered') return { kind: 'completed', result: { state } };
  if (state === 'moved') return { kind: 'completed', result: { movedAway: true } };
  return { kind: 'failed', reason: error ? `[${error.stage}] ${error.code}: ${error.message}` : reason };
}
