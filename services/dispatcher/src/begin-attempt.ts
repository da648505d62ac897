import { currentTraceId, traceAttempt, type AttemptTrace } from '@dicom-dispatch/runtime';
import { performance } from 'node:perf_hooks';
import { act, fromNow } from '@dicom-dispatch/state/records';
import type { JobEnd } from '@dicom-dispatch/pipeline';
import { DeliveryProgressTracker, type ProgressSink } from './delivery-progress.ts';
import { fenceOf, report, type Attempt, type DeliveryTurn } from './delivery-turn.ts';
import { afterRefusal } from './put-off.ts';
import type { DeliveryPlace } from './wait-for-place.ts';
import { watchIntent } from './watch-intent.ts';

/** Begins an attempt, unless somebody wants it otherwise. */
export async function begin(
  turn: DeliveryTurn,
  { ledger, place }: DeliveryPlace,
): Promise<{ readonly attempt: Attempt } | { readonly end: JobEnd }> {
  const { context, data, record, log, say } = turn;
  const number = record.attempts + 1;
  const fence = fenceOf(turn);
  // What a handler has kept is about the place where it was.
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
  if (changed.kind === 'refused') return { end: await afterRefusal(turn, changed) };
  say(`attempt ${number} by ${context.worker}`);
  log.info({ attempt: number }, 'delivery started');
  const stopping = new AbortController();
  const stop = (reason: 'cancelled' | 'lock-lost'): void => stopping.abort(reason);
  const signal = AbortSignal.any([turn.signal, stopping.signal]);
  const inAttempt = { ...turn, signal };
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
      memory: turn.context.memory.share(),
      hasAnswered: false,
      foldLedger: undefined,
    },
  };
}

/** By which the trace of the attempt is found. */
function traced(): string {
  const traceId = currentTraceId();
  return traceId === undefined ? '' : `, trace ${traceId}`;
}

/** Where the progress of an attempt is reported: the job, the delivery's record, and the plots of the console. */
function sinkOf(
  turn: DeliveryTurn,
  number: number,
  stop: (reason: 'cancelled' | 'lock-lost') => void,
  trace: AttemptTrace,
): ProgressSink {
  const { context, data, job, signal, log, say } = turn;
  return {
    async update(progress, addBytesSent) {
      await Promise.all([
        job.updateProgress(progress),
        report(turn, {
          stage: progress.stage,
          total: progress.total,
          confirmed: progress.confirmed,
          quarantined: progress.quarantined,
          addBytesSent,
        }).then((changed) => {
          if (changed.isCancelled) stop('cancelled');
          if (changed.kind === 'refused' && changed.why === 'lock-lost') stop('lock-lost');
        }),
        context.stats.bytes(data.target, addBytesSent),
      ]).catch((error: unknown) => log.warn({ err: error }, 'progress could not be written'));
    },
    entered: (stage) => say(`stage ${stage}`),
    left(stage, durationMs) {
      context.metrics.stages.observe({ target: data.target, stage }, durationMs / 1000);
      trace.stage(stage, durationMs);
    },
    quarantined(sopInstanceUid, error) {
      say(`quarantined ${sopInstanceUid}: ${error.message}`);
      log.warn({ instance: sopInstanceUid, code: error.code, reason: error.message }, 'instance quarantined');
      context.metrics.quarantined.inc({ target: data.target, code: error.code });
      const text = `${sopInstanceUid}: ${error.message}`;
      void report(turn, {}, { kind: 'quarantined', attempt: number, code: error.code, text }).catch(() => {});
    },
    throttle: (bytes) => context.throttle(data.target, bytes, signal),
  };
}
