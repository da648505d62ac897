import { currentTraceId, traceAttempt, type AttemptTrace } from '@dicom-dispatch/runtime';
import { performance } from 'node:perf_hooks';
import { act, fromNow } from '@dicom-dispatch/state/records';
import type { JobEnd } from '@dicom-dispatch/pipeline';
import { DeliveryProgressTracker, type ProgressSink } from './delivery-progress.ts';
import { countsFor, fenceOf, report, type Attempt, type DeliveryJobRun } from './delivery-job-run.ts';
import { afterRefusal } from './put-off.ts';
import type { DeliveryPlace } from './wait-for-place.ts';
import { watchIntent } from './watch-intent.ts';

/** Begins an attempt, unless an operator has requested otherwise. */
export async function begin(
  jobRun: DeliveryJobRun,
  { ledger, place }: DeliveryPlace,
): Promise<{ readonly attempt: Attempt } | { readonly end: JobEnd }> {
  const { context, data, record, log, logLine } = jobRun;
  const number = record.attempts + 1;
  const fence = fenceOf(jobRun);
  // The stored state of a handler belongs to the previous place.
  if ((record.ledger ?? data.target) !== ledger) await context.clearState(data.deliveryId);
  const changed = await context.records.change(data.deliveryId, {
    ...act('begin'),
    patch: {
      state: 'active',
      wake: 'attempt',
      stage: 'resolve',
      ledger,
      place,
      attempts: number,
      startedAt: fromNow(),
      endedAt: null,
      nextAttemptAt: null,
      worker: context.worker,
      lock: fence.lockKey,
      token: fence.token,
    },
    event: { kind: 'started', attempt: number, worker: context.worker, text: `attempt ${number} started${traced()}` },
    fence,
  });
  if (changed.kind === 'refused') return { end: await afterRefusal(jobRun, changed) };
  logLine(`attempt ${number} by ${context.worker}`);
  log.info({ attempt: number }, 'delivery started');
  const stopping = new AbortController();
  const stop = (reason: 'cancelled' | 'lock-lost'): void => stopping.abort(reason);
  const signal = AbortSignal.any([jobRun.signal, stopping.signal]);
  const inAttempt = { ...jobRun, signal };
  const trace = traceAttempt({
    'dispatch.delivery': data.deliveryId,
    'dispatch.target': data.target,
    'dispatch.attempt': number,
  });
  const tracker = new DeliveryProgressTracker(sinkOf(inAttempt, number, stop, trace), number);
  const unwatch = watchIntent(context, data.deliveryId, fence, stop);
  return {
    attempt: {
      ...inAttempt,
      number,
      ledger,
      place,
      startedAt: performance.now(),
      tracker,
      trace,
      unwatch,
      memory: jobRun.context.memory.share(),
      claimedUids: new Set(),
      hasAnswered: false,
      foldLedger: undefined,
    },
  };
}

/** Text that identifies the trace of the attempt; empty without tracing. */
function traced(): string {
  const traceId = currentTraceId();
  return traceId === undefined ? '' : `, trace ${traceId}`;
}

/** Receivers of the progress of an attempt: the job, the delivery's record, and the plots of the console. */
function sinkOf(
  jobRun: DeliveryJobRun,
  number: number,
  stop: (reason: 'cancelled' | 'lock-lost') => void,
  trace: AttemptTrace,
): ProgressSink {
  const { context, data, job, signal, log, logLine } = jobRun;
  return {
    async update(progress, addBytesSent) {
      await Promise.all([
        job.updateProgress(progress),
        report(jobRun, {
          stage: progress.stage,
          ...countsFor(data, progress),
          addBytesSent,
        }).then((changed) => {
          if (changed.isCancelled) stop('cancelled');
          if (changed.kind === 'refused' && changed.why === 'lock-lost') stop('lock-lost');
        }),
        context.stats.bytes(data.target, addBytesSent),
      ]).catch((error: unknown) => log.warn({ err: error }, 'progress could not be written'));
    },
    entered: (stage) => logLine(`stage ${stage}`),
    left(stage, durationMs) {
      context.metrics.stages.observe({ target: data.target, stage }, durationMs / 1000);
      trace.stage(stage, durationMs);
    },
    quarantined(sopInstanceUid, error) {
      logLine(`quarantined ${sopInstanceUid}: ${error.message}`);
      log.warn({ instance: sopInstanceUid, code: error.code, reason: error.message }, 'instance quarantined');
      context.metrics.quarantined.inc({ target: data.target, code: error.code });
      const text = `${sopInstanceUid}: ${error.message}`;
      void report(jobRun, {}, { kind: 'quarantined', attempt: number, code: error.code, text }).catch(() => {});
    },
    throttle: (bytes) => context.throttle(data.target, bytes, signal),
  };
}
