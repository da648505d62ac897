import { DispatchError, type DeliveryResult } from '@dicom-dispatch/core';
import { callDelivery, settleJob, type JobEnd } from '@dicom-dispatch/pipeline';
import { arrivingEnded, sendArriving } from './arriving-attempt.ts';
import { dependenciesOf } from './attempt-dependencies.ts';
import { begin } from './begin-attempt.ts';
import {
  openJobRun,
  type Attempt,
  type DeliveryJob,
  type DeliveryJobRun,
  type StopReason,
} from './delivery-job-run.ts';
import type { DispatcherContext } from './dispatcher-context.ts';
import { attemptFailed, deliveryEnded } from './end-attempt.ts';
import { HandedOver } from './leave-target.ts';
import { noticeConflicts } from './notice-conflicts.ts';
import { runDelivery } from './run-delivery.ts';
import { releaseUids } from './taken-uids.ts';
import { havePriorsEnded, waitForPriors } from './priors/wait-for-priors.ts';
import { waitForPlace } from './wait-for-place.ts';
import { waitForCircuit, waitUntilDue } from './wait-until-due.ts';
import { isStudyLockFree, withStudyLock } from './with-study-lock.ts';

/** Pause before a job runs again that could not be checked, because Redis did not respond or was out of memory. */
const troubleMs = 5_000;

/**
 * One run of a delivery's job, which only triggers processing: the delivery's record is authoritative. Checks whether
 * the delivery may run now, runs the attempt, stores its result, and releases the job.
 *
 * Errors outside of an attempt, before or after it, consume nothing: the job runs again.
 *
 * @throws the error that makes BullMQ release the job, and nothing else
 */
export async function processDelivery(context: DispatcherContext, delivery: DeliveryJob): Promise<unknown> {
  const { job, token } = delivery;
  const id = job.id ?? '';
  let jobRun: DeliveryJobRun | undefined;
  let end: JobEnd;
  try {
    await context.untilGood(delivery.signal);
    const looked = await context.records.look(id);
    if (looked) {
      jobRun = openJobRun(context, delivery, looked);
      end = await endOf(jobRun, looked);
    } else {
      end = { kind: 'failed', reason: 'its record no longer exists' };
    }
  } catch (error) {
    if (error instanceof HandedOver) {
      end = { kind: 'completed', result: { movedAway: true } };
    } else {
      const isLost = error instanceof DispatchError && error.code === 'lock-lost';
      context.log.warn({ delivery: id, err: error }, 'delivery could not be read; its job is repeated');
      end = isLost ? { kind: 'left' } : { kind: 'later', inMs: troubleMs };
    }
  }
  return settleJob(job, token, end, () => lookAgain(context, id, jobRun));
}

async function endOf(
  jobRun: DeliveryJobRun,
  intent: { readonly isHeld: boolean; readonly isCancelled: boolean },
): Promise<JobEnd> {
  const wait = (await waitUntilDue(jobRun, intent)) ?? (await waitForPriors(jobRun));
  return wait ?? withStudyLock(jobRun, () => startAttempt(jobRun));
}

/**
 * Called when the job is back in the queue. An action of an operator or of another delivery between the writes of the record
 * and the job found no job to bring forward: this is done here.
 */
async function lookAgain(context: DispatcherContext, id: string, jobRun: DeliveryJobRun | undefined): Promise<void> {
  try {
    const looked = await context.records.look(id);
    if (!looked || looked.record.state !== 'waiting' || looked.isHeld) return;
    const { record, now } = looked;
    if (record.wake === 'turn' && jobRun && (await isStudyLockFree(jobRun))) {
      await context.wake(id);
    } else if (record.wake === 'priors' && jobRun && (await havePriorsEnded(jobRun))) {
      await context.wake(id);
    } else if (record.wake !== 'circuit') {
      await callDelivery(context, record, now);
    }
  } catch (error) {
    context.log.warn({ delivery: id, err: error }, 'a job is left to reconciliation');
  }
}

async function startAttempt(jobRun: DeliveryJobRun): Promise<JobEnd> {
  const { context, data } = jobRun;
  const place = await waitForPlace(jobRun);
  if (place.end) return place.end;
  const circuit = await waitForCircuit(jobRun);
  if (circuit.end) return circuit.end;
  const { isProbe } = circuit;
  let attempt: Attempt | undefined;
  try {
    await context.promoteLongestWaiting(data);
    const begun = await begin(jobRun, place);
    if ('end' in begun) return begun.end;
    attempt = begun.attempt;
    return await runAttempt(attempt);
  } finally {
    attempt?.trace.end();
    // The attempt ended without a result about the target itself (the study was deleted, nothing was pending): the next one
    // may probe.
    if (isProbe && !attempt?.hasAnswered) await context.circuits.abandon(data.target).catch(() => {});
  }
}

async function runAttempt(attempt: Attempt): Promise<JobEnd> {
  const { context, data } = attempt;
  if (data.arriving) return runArrivingAttempt(attempt);
  let result: DeliveryResult;
  try {
    result = await runDelivery(await dependenciesOf(attempt));
  } catch (thrown) {
    await tidyUp(attempt);
    return attemptFailed(attempt, thrown);
  }
  await tidyUp(attempt);
  const summary = `${result.sent} instances sent, ${result.skipped} were already there`;
  attempt.logLine(`delivered: ${summary}`);
  const end = await deliveryEnded(attempt, 'delivered', undefined, summary);
  // Rejected: another worker has the delivery by now, or it continues.
  if (end.kind !== 'completed') return end;
  await context.clearState(data.deliveryId).catch(() => {});
  // A failure or an interruption here only costs memory.
  await attempt.foldLedger?.().catch((error: unknown) => attempt.log.warn({ err: error }, 'ledger not folded'));
  return { kind: 'completed', result };
}

/** The study is still being received: arrived instances are sent, and further ones as they arrive. */
async function runArrivingAttempt(attempt: Attempt): Promise<JobEnd> {
  const inbox = await attempt.context.arrivals.listen(attempt.data);
  try {
    const { end, thrown } = await sendArriving(attempt, inbox).then(
      (end) => ({ end, thrown: undefined }),
      (thrown: unknown) => ({ end: undefined, thrown }),
    );
    await tidyUp(attempt);
    return end ? await arrivingEnded(attempt, end, inbox) : await attemptFailed(attempt, thrown);
  } finally {
    inbox.close();
  }
}

async function tidyUp(attempt: Attempt): Promise<void> {
  attempt.memory[Symbol.dispose]();
  attempt.unwatch();
  await attempt.tracker.end();
  await packReceipt(attempt);
  if (!(await noticeConflicts(attempt))) return;
  // Claims that are not released here become invalid with the lock of the attempt.
  await releaseUids(attempt).catch((error: unknown) => attempt.log.warn({ err: error }, 'claims on UIDs not released'));
}

/** Packs the receipts. Those that an attempt leaves unpacked are readable as well, and are packed by the next attempt. */
async function packReceipt({ context, data, signal, log }: Attempt): Promise<void> {
  // The dispatcher that has the delivery now packs it.
  if (signal.reason === ('lock-lost' satisfies StopReason)) return;
  await context
    .receipts()
    .pack(data.deliveryId)
    .catch((error: unknown) => log.warn({ err: error }, 'receipt not packed'));
}
