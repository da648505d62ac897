import { asDispatchError, backOffMs, DispatchError } from '@dicom-dispatch/core';
import type { DeliveryPatch, DeliveryState } from '@dicom-dispatch/state/records';
import { RateLimitError, UnrecoverableError, WaitingError } from 'bullmq';
import { countsOf, tell, type Attempt, type StopReason } from './delivery-turn.ts';
import { leaveTarget } from './leave-target.ts';

/** Writes down how the delivery ended. */
export async function deliveryEnded(
  attempt: Attempt,
  state: DeliveryState,
  error: DispatchError | undefined,
  text: string,
): Promise<void> {
  const { context, data, tracker, startedAt, log } = attempt;
  const endedAt = Date.now();
  const patch: DeliveryPatch = {
    state,
    endedAt,
    nextAttemptAt: null,
    stage: tracker.stage,
    failStage: error?.stage ?? null,
    error: error?.toRecord() ?? null,
    ...countsOf(attempt),
  };
  await tell(attempt, patch, {
    kind: 'ended',
    attempt: attempt.numberInAll,
    text,
    ...(error && { stage: error.stage, code: error.code }),
  });
  context.metrics.ended.inc({ target: data.target, state });
  context.metrics.duration.observe({ target: data.target, state }, (endedAt - startedAt) / 1000);
  void context.stats.ended(data.target, state).catch(() => {});
  log.info(
    { state, attempt: attempt.number, ms: endedAt - startedAt, bytes: tracker.bytesSent, ...tracker.counts },
    'delivery ended',
  );
}

/**
 * Decides what follows from a failed attempt, writes it down, and throws what makes BullMQ do it: end the job, retry it
 * after a while, hand it back, or let it wait for its target.
 */
export async function attemptFailed(attempt: Attempt, thrown: unknown): Promise<never> {
  const { context, data, target, job, signal, tracker, log, say } = attempt;
  const reason = signal.aborted ? (signal.reason as StopReason) : undefined;
  if (reason === 'lock-lost' || (thrown instanceof DispatchError && thrown.code === 'lock-lost')) {
    // Another worker owns the delivery now: say nothing in its name.
    log.warn({ attempt: attempt.number }, 'delivery was taken over by another worker');
    throw new Error('the lock of the job was lost');
  }
  if (reason === 'shutdown') return handBack(attempt);
  const error =
    reason === 'cancelled'
      ? new DispatchError('cancelled', 'cancelled by an operator', { stage: tracker.stage })
      : asDispatchError(thrown, tracker.stage);
  const line = `[${error.stage}] ${error.code}: ${error.message}`;
  say(`failed ${line}`);
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

  const isOutOfReach = (error.disposition === 'wait' || error.disposition === 'halt') && !attempt.isConnected;
  if (isOutOfReach) await waitForTarget(attempt, error, line);
  if (error.disposition === 'permanent') {
    await deliveryEnded(attempt, endState(error), error, line);
    throw new UnrecoverableError(line);
  }
  const isLast = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
  if (isLast) {
    await leaveTarget(context, data, line, { exhausted: true, patch: patchOf(attempt, error) });
    await deliveryEnded(attempt, 'failed', error, `${line}; no attempt is left`);
  } else {
    const waitMs = target ? backOffMs(target.backoff, attempt.number, error.retryAfterMs) : 1_000;
    context.nextWait.set(data.deliveryId, waitMs);
    await tell(
      attempt,
      { ...patchOf(attempt, error), state: 'waiting', nextAttemptAt: Date.now() + waitMs, worker: null },
      { kind: 'failed', attempt: attempt.numberInAll, stage: error.stage, code: error.code, text: error.message },
    );
  }
  throw new Error(line, { cause: error });
}

async function handBack(attempt: Attempt): Promise<never> {
  const { job, token, number, numberInAll, tracker, log, say } = attempt;
  log.info({ attempt: number, confirmed: tracker.counts.confirmed }, 'delivery handed back at shutdown');
  say('handed back: the dispatcher is stopping');
  await tell(
    attempt,
    { state: 'waiting', worker: null },
    { kind: 'waiting', attempt: numberInAll, text: 'handed back: the dispatcher is stopping' },
  );
  await job.moveToWait(token);
  throw new WaitingError();
}

/** The target as a whole is out of reach: the circuit opens, the delivery waits, no attempt is burnt. */
async function waitForTarget(attempt: Attempt, error: DispatchError, line: string): Promise<never> {
  const { context, data, target } = attempt;
  const waited = Date.now() - Math.max(data.routedAt, (await context.retriedAt(data.deliveryId)) ?? 0);
  const giveUpAfter = target?.giveUpAfter ?? 0;
  const circuit = await context.circuits.fail(data.target, error.toRecord(), error.retryAfterMs);
  if (circuit.opened) context.circuitOpened(data.target, error);
  await leaveTarget(context, data, line, { patch: patchOf(attempt, error) });
  if (giveUpAfter > 0 && waited > giveUpAfter) {
    const gaveUp = new DispatchError(
      'gave-up',
      `the target could not be used for longer than it allows: ${error.message}`,
      { stage: error.stage, cause: error },
    );
    await deliveryEnded(attempt, 'failed', gaveUp, `${line}; gave up`);
    throw new UnrecoverableError(`[${gaveUp.stage}] ${gaveUp.code}: ${gaveUp.message}`);
  }
  await tell(
    attempt,
    {
      ...patchOf(attempt, error),
      state: 'waiting',
      nextAttemptAt: Date.now() + circuit.waitMs,
      attempts: attempt.numberInAll - 1,
      worker: null,
    },
    { kind: 'waiting', attempt: attempt.numberInAll, stage: error.stage, code: error.code, text: error.message },
  );
  await attempt.pauseTarget(circuit.waitMs);
  throw new RateLimitError();
}

function patchOf(attempt: Attempt, error: DispatchError): DeliveryPatch {
  return { failStage: error.stage, error: error.toRecord(), ...countsOf(attempt) };
}

function endState(error: DispatchError): DeliveryState {
  if (error.code === 'partial') return 'partial';
  if (error.code === 'source-gone') return 'source-gone';
  return error.code === 'cancelled' ? 'cancelled' : 'failed';
}
