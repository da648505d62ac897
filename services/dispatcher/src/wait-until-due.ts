import { backOffMs, isOpen, nextStartAt } from '@dicom-dispatch/core';
import { act, endStates, fromNow } from '@dicom-dispatch/state/records';
import type { JobEnd } from '@dicom-dispatch/pipeline';
import { fenceOf, type DeliveryJobRun } from './delivery-job-run.ts';
import { leaveIfLeft, leaveTarget } from './leave-target.ts';
import { afterRefusal, endCancelled, jobEndOf, putOff } from './put-off.ts';

/** Interval for checking windows that never overlap: a change of the configuration may change this. */
const lookAgainMs = 86_400_000;
/** Interval for checking problems that require a change of the configuration. */
const offMs = 60_000;
/** A delivery whose dispatcher crashed this number of consecutive times may be the cause: from now on with pauses. */
const lossesAtOnce = 3;
/** A run that is early by this amount is in time. */
const earlyMs = 250;

/**
 * Ends the run of a job for reasons of the delivery, which consume no attempt: it has ended, was cancelled, is held or not
 * due, or the target or its rule is outside the schedule.
 *
 * @returns how the job ends, or undefined if the delivery may continue
 * @throws HandedOver if another target has taken it over
 */
export async function waitUntilDue(
  jobRun: DeliveryJobRun,
  intent: { readonly isHeld: boolean; readonly isCancelled: boolean },
): Promise<JobEnd | undefined> {
  const { target, record, now } = jobRun;
  if (endStates.includes(record.state)) return jobEndOf(record.state, record.error?.message ?? 'it has ended');
  if (intent.isCancelled) return endCancelled(jobRun);
  if (record.state === 'active') {
    const end = await takeOver(jobRun);
    if (end) return end;
  }
  if (intent.isHeld) return putOff(jobRun, { wake: 'person' });
  const dueInMs = record.state === 'waiting' ? (record.nextAttemptAt ?? 0) - now : 0;
  if (dueInMs > earlyMs) return { kind: 'later', inMs: dueInMs };
  await leaveIfLeft(jobRun);
  if (!target) {
    return putOff(jobRun, { wake: 'person', inMs: offMs });
  }
  if (!target.enabled) {
    await leaveTarget(jobRun, 'the target is disabled');
    const event = { kind: 'waiting', text: 'the target is disabled' } as const;
    return putOff(jobRun, { wake: 'person', inMs: offMs, ...(record.wake !== 'person' && { event }) });
  }
  const opensAt = opensNext(jobRun);
  if (opensAt > now && !record.anyway) {
    const text = outsideOf(jobRun);
    await leaveTarget(jobRun, text);
    return putOff(jobRun, { wake: 'schedule', inMs: opensAt - now, event: { kind: 'waiting', text } });
  }
  return undefined;
}

/** Takes over a delivery whose previous dispatcher is gone: its lock has expired. */
async function takeOver(jobRun: DeliveryJobRun): Promise<JobEnd | undefined> {
  const { context, data, target, record } = jobRun;
  const again = record.losses + 1 - lossesAtOnce;
  const pauseMs = again > 0 && target ? backOffMs(target.backoff, again) : 0;
  const changed = await context.records.change(data.deliveryId, {
    ...act('lose'),
    patch: {
      state: 'waiting',
      wake: pauseMs > 0 ? 'due' : 'job',
      worker: null,
      nextAttemptAt: pauseMs > 0 ? fromNow(pauseMs) : null,
    },
    event: { kind: 'waiting', text: `the dispatcher ${record.worker ?? ''} is gone` },
    fence: fenceOf(jobRun),
  });
  if (changed.kind === 'refused') return afterRefusal(jobRun, changed);
  return pauseMs > 0 ? { kind: 'later', inMs: pauseMs } : undefined;
}

/**
 * Ends the run of a job while the circuit of the target is open.
 *
 * @returns how the job ends; otherwise whether the attempt that may begin is the circuit's probe
 * @throws HandedOver if another target has taken it over
 */
export async function waitForCircuit(
  jobRun: DeliveryJobRun,
): Promise<{ readonly end: JobEnd } | { readonly end: undefined; readonly isProbe: boolean }> {
  const { context, data, record } = jobRun;
  const verdict = await context.circuits.check(data.target, data.deliveryId);
  if (verdict.kind === 'closed' || verdict.kind === 'probe') {
    return { end: undefined, isProbe: verdict.kind === 'probe' };
  }
  await leaveTarget(jobRun, 'its circuit is open');
  if (verdict.kind === 'yield') {
    return { end: await putOff(jobRun, { wake: 'circuit', inMs: verdict.retryInMs }) };
  }
  jobRun.closeGate();
  // It keeps its place in the queue. Nothing is written if it already waits for the circuit.
  const isReported = record.state === 'waiting' && record.wake === 'circuit' && record.nextAttemptAt === undefined;
  return { end: isReported ? { kind: 'front' } : await putOff(jobRun, { wake: 'circuit', front: true }) };
}

/** The next time (ms since 1970) at which the target and one of the rules of this delivery are open together. */
function opensNext({ data, target, now }: DeliveryJobRun): number {
  const lists = [...(target?.schedule ? [[target.schedule]] : []), ...(data.schedules ? [data.schedules] : [])];
  return nextStartAt(lists, now) ?? now + lookAgainMs;
}

function outsideOf({ target, now }: DeliveryJobRun): string {
  if (target?.schedule && !isOpen(target.schedule, now)) return 'outside the schedule of the target';
  return 'outside the schedule of its rule';
}
