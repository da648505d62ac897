import { performance } from 'node:perf_hooks';
import { afterFailure, asDispatchError, backOffMs, DispatchError, type TargetConfig } from '@dicom-dispatch/core';
import { act, fromNow, type DeliveryPatch, type DeliveryState } from '@dicom-dispatch/state/records';
import { redisNow } from '@dicom-dispatch/state/redis';
import type { Timed } from '@dicom-dispatch/state/target-stats';
import { resolveSuperseded, type JobEnd } from '@dicom-dispatch/pipeline';
import { countsOf, fenceOf, type Attempt, type StopReason } from './delivery-job-run.ts';
import { learnConcurrency } from './learn-concurrency.ts';
import { leaveTarget } from './leave-target.ts';
import { ofStudyAlone } from './of-study-alone.ts';
import { afterRefusal, endCancelled, jobEndOf, putOff } from './put-off.ts';

/** Interval for checking whether another delivery still sends the same UIDs. */
const lookAgainMs = 30_000;

/** Stores how the delivery ended. */
export async function deliveryEnded(
  attempt: Attempt,
  state: DeliveryState,
  error: DispatchError | undefined,
  text: string,
): Promise<JobEnd> {
  const { context, data, tracker, log } = attempt;
  const ms = performance.now() - attempt.startedAt;
  const changed = await context.records.change(data.deliveryId, {
    ...act('end'),
    patch: {
      state,
      endedAt: fromNow(),
      stage: tracker.stage,
      failStage: error?.stage ?? null,
      error: error?.toRecord() ?? null,
      failures: null,
      waits: null,
      losses: null,
      ...countsOf(attempt),
    },
    event: {
      kind: 'ended',
      attempt: attempt.number,
      text,
      ...(error && { stage: error.stage, code: error.code }),
    },
    fence: fenceOf(attempt),
  });
  if (changed.kind === 'refused') return afterRefusal(attempt, changed);
  context.metrics.ended.inc({ target: data.target, state });
  context.metrics.duration.observe({ target: data.target, state }, ms / 1000);
  const durations = state === 'delivered' || state === 'partial' ? durationsOf(attempt, ms) : undefined;
  void context.stats.ended(data.target, state, durations).catch(() => {});
  // An error that cannot be stored now is left for an operator.
  const superseded = await resolveSuperseded(context.records, data).catch(() => []);
  if (superseded.length > 0) log.info({ deliveries: superseded }, 'earlier failures were superseded');
  log.info({ state, attempt: attempt.number, ms, bytes: tracker.bytesSent, ...tracker.counts }, 'delivery ended');
  return jobEndOf(state, text, error);
}

/** Durations of the stages; none for a study that was sent during reception, because they depend on the reception. */
function durationsOf({ data, tracker }: Attempt, attemptMs: number): ReadonlyMap<Timed, number> {
  if (data.arriving || tracker.gained === 0) return new Map();
  const transferMs = tracker.durationsMs.get('transfer');
  return new Map<Timed, number>([
    ...tracker.durationsMs,
    ['attempt', attemptMs],
    ...(transferMs === undefined ? [] : [['instance', transferMs / tracker.gained] as const]),
  ]);
}

/** Decides what follows from a failed attempt, and stores it. */
export async function attemptFailed(attempt: Attempt, thrown: unknown): Promise<JobEnd> {
  const { context, data, target, signal, tracker, log, logLine, record } = attempt;
  const reason = signal.aborted ? (signal.reason as StopReason) : undefined;
  if (reason === 'lock-lost' || (thrown instanceof DispatchError && thrown.code === 'lock-lost')) {
    // Another worker owns the delivery now: write nothing in its name.
    log.warn({ attempt: attempt.number }, 'delivery was taken over by another worker');
    return { kind: 'left' };
  }
  if (reason === 'shutdown') return handBack(attempt);
  if (reason === 'cancelled') {
    logLine('cancelled by an operator');
    return endCancelled(attempt, { stage: tracker.stage, failStage: tracker.stage, ...countsOf(attempt) });
  }
  const error = await ofStudyAlone(attempt, asDispatchError(thrown, tracker.stage));
  const line = `[${error.stage}] ${error.code}: ${error.message}`;
  logLine(`failed ${line}`);
  log[error.disposition === 'permanent' ? 'error' : 'warn'](
    {
      attempt: attempt.number,
      stage: error.stage,
      code: error.code,
      reason: error.message,
      err: error.code === 'internal' ? error : undefined,
    },
    'attempt failed',
  );
  context.metrics.failures.inc({ target: data.target, stage: error.stage, code: error.code });
  attempt.trace.fail(error.code, line);
  const hasProgressed = tracker.gained > 0;
  const failures = hasProgressed ? 0 : record.failures;
  const follows = afterFailure(error, {
    isReached: tracker.isReached,
    confirmed: tracker.gained,
    failures,
    attempts: target?.attempts ?? 1,
  });
  switch (follows.kind) {
    case 'end':
      return deliveryEnded(attempt, endState(error), error, line);
    case 'exhausted':
      await leaveTarget(attempt, line, { exhausted: true, patch: patchOf(attempt, error) });
      return deliveryEnded(attempt, 'failed', error, `${line}; no attempt is left`);
    case 'circuit':
      return waitForTarget(attempt, error, line);
    case 'pause': {
      if (error.code === 'uids-in-use') return waitForUids(attempt, error);
      if (!follows.counts && !hasProgressed && (await isTooOld(attempt))) return giveUp(attempt, error, line);
      const counts = {
        failures: failures + (follows.counts ? 1 : 0),
        waits: follows.counts || hasProgressed ? 0 : record.waits + 1,
      };
      return pause(attempt, error, counts);
    }
  }
}

/** Schedules the next attempt after the back-off of the target. */
async function pause(
  attempt: Attempt,
  error: DispatchError,
  counts: { readonly failures: number; readonly waits: number },
): Promise<JobEnd> {
  const { target, tracker } = attempt;
  const inMs = target
    ? backOffMs(target.backoff, Math.max(1, counts.failures + counts.waits), error.retryAfterMs)
    : 1_000;
  return putOff(attempt, {
    wake: 'due',
    inMs,
    patch: {
      ...patchOf(attempt, error),
      ...counts,
      losses: null,
      // A wait consumes no attempt.
      ...(counts.waits > 0 && { attempts: attempt.number - 1 }),
      stage: tracker.stage,
    },
    event: { kind: 'failed', attempt: attempt.number, stage: error.stage, code: error.code, text: error.message },
  });
}

/**
 * Another delivery is sending one of the UIDs: this is not an error, and no reason to give up. The delivery waits until that
 * attempt ends.
 */
async function waitForUids(attempt: Attempt, error: DispatchError): Promise<JobEnd> {
  const { target, tracker, record } = attempt;
  const event = {
    kind: 'waiting',
    attempt: attempt.number,
    stage: error.stage,
    code: error.code,
    text: error.message,
  } as const;
  return putOff(attempt, {
    wake: 'due',
    inMs: Math.min(lookAgainMs, target?.backoff.max ?? lookAgainMs),
    patch: {
      ...patchOf(attempt, error),
      ...(tracker.gained > 0 ? { failures: null, waits: null } : { attempts: attempt.number - 1 }),
      losses: null,
      stage: tracker.stage,
    },
    ...(record.error?.code !== error.code && { event }),
  });
}

async function handBack(attempt: Attempt): Promise<JobEnd> {
  const { number, tracker, log, logLine } = attempt;
  log.info({ attempt: number, confirmed: tracker.counts.confirmed }, 'delivery released at shutdown');
  logLine('released: the dispatcher is stopping');
  return putOff(attempt, {
    wake: 'job',
    front: true,
    patch: { losses: null, ...(tracker.gained > 0 && { failures: null, waits: null }), ...countsOf(attempt) },
    event: { kind: 'waiting', attempt: number, text: 'released: the dispatcher is stopping' },
  });
}

/** The target as a whole cannot be used: the circuit opens, the delivery waits, no attempt is consumed. */
async function waitForTarget(attempt: Attempt, error: DispatchError, line: string): Promise<JobEnd> {
  const { context, data, target, record } = attempt;
  const event = {
    kind: 'waiting',
    attempt: attempt.number,
    stage: error.stage,
    code: error.code,
    text: error.message,
  } as const;
  const waits = record.waits + 1;
  const patch: DeliveryPatch = {
    ...patchOf(attempt, error),
    attempts: attempt.number - 1,
    waits,
    losses: null,
  };
  attempt.hasAnswered = true;
  if (error.code === 'target-busy' && (await learnConcurrency(attempt, error))) {
    // The receiver accepts fewer parallel associations than were open: this delivery continues when another has ended.
    return putOff(attempt, { wake: 'job', front: true, patch, event });
  }
  const circuit = await context.circuits.fail(data.target, error.toRecord(), {
    ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }),
    deliveryId: data.deliveryId,
  });
  if (circuit.opened) context.circuitOpened(data.target, error);
  await leaveTarget(attempt, line, { patch });
  if (await isTooOld(attempt)) return giveUp(attempt, error, line);
  attempt.closeGate();
  const own = circuit.opened ? ownPause(target, record.waits) : 0;
  const isOwn = own > circuit.waitMs;
  return putOff(attempt, { wake: isOwn ? 'due' : 'circuit', inMs: isOwn ? own : circuit.waitMs, patch, event });
}

/**
 * Pause of a delivery whose errors open the circuit although others succeed between its attempts: the error is specific to
 * this delivery, and must not stop the others again and again.
 */
function ownPause(target: TargetConfig | undefined, waits: number): number {
  return target && waits > 0 ? backOffMs(target.backoff, waits) : 0;
}

/** Whether a delivery has waited for longer than its target allows; attempts that progress or count do not. */
async function isTooOld({ context, target, record }: Attempt): Promise<boolean> {
  const giveUpAfter = target?.giveUpAfter ?? 0;
  return giveUpAfter > 0 && (await redisNow(context.redis, context.config.redis.prefix)) - record.since > giveUpAfter;
}

async function giveUp(attempt: Attempt, error: DispatchError, line: string): Promise<JobEnd> {
  const text = `no attempt has succeeded within giveUpAfter: ${error.message}`;
  const gaveUp = new DispatchError('gave-up', text, { stage: error.stage, cause: error });
  return deliveryEnded(attempt, 'failed', gaveUp, `${line}; gave up`);
}

function patchOf(attempt: Attempt, error: DispatchError): DeliveryPatch {
  return { failStage: error.stage, error: error.toRecord(), ...countsOf(attempt) };
}

function endState(error: DispatchError): DeliveryState {
  if (error.code === 'partial') return 'partial';
  if (error.code === 'source-gone') return 'source-gone';
  return error.code === 'cancelled' || error.code === 'not-wanted' ? 'cancelled' : 'failed';
}
