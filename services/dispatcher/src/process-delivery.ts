import {
  asDispatchError,
  backOffMs,
  deliveryData,
  DispatchError,
  isOpen,
  nextStartAt,
  type DeliveryResult,
} from '@dicom-dispatch/core';
import type { DeliveryPatch, DeliveryState } from '@dicom-dispatch/cache/records';
import { DelayedError, RateLimitError, UnrecoverableError, WaitingError, type Job } from 'bullmq';
import { DeliveryProgressTracker } from './delivery-progress.ts';
import type { DispatcherContext } from './dispatcher-context.ts';
import { leaveIfLeft, leaveTarget } from './leave-target.ts';
import { runDelivery } from './run-delivery.ts';
import { redisState } from './redis-state.ts';

/** How far a held delivery is put back; its release brings it forward. */
const heldForMs = 365 * 86_400_000;
/** Windows that never meet may do so after a change of the configuration. */
const lookAgainMs = 86_400_000;

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

/**
 * One turn of a delivery's job: decides whether it may go now, runs the attempt, and writes down how it ended — on the
 * job (so that BullMQ retries or ends it) and on the delivery's record.
 *
 * @throws HandedOver when another target of its group has taken it over
 */
export async function processDelivery(context: DispatcherContext, delivery: DeliveryJob): Promise<DeliveryResult> {
  const { job, token, signal } = delivery;
  const data = deliveryData.parse(job.data);
  const { records, circuits } = context;
  const target = context.config.targets[data.target];
  const log = context.log.child({ delivery: data.deliveryId, study: data.studyInstanceUid, target: data.target });

  const isProbe = await notNow();
  await context.giveTurn(data);
  const attempt = job.attemptsMade + 1;
  const startedAt = Date.now();
  const attempts = ((await records.delivery(data.deliveryId))?.attempts ?? 0) + 1;
  const say = (line: string): void => void job.log(`${new Date().toISOString()} ${line}`).catch(() => {});
  say(`attempt ${attempt} of ${job.opts.attempts ?? 1} by ${context.worker}`);
  log.info({ attempt }, 'delivery started');
  await records.update(
    data.deliveryId,
    {
      state: 'active',
      stage: 'resolve',
      attempts,
      startedAt,
      endedAt: null,
      nextAttemptAt: null,
      worker: context.worker,
    },
    { kind: 'started', attempt: attempts, worker: context.worker, text: `attempt ${attempt} started` },
  );

  let isConnected = false;
  const tracker = new DeliveryProgressTracker(
    {
      async update(progress, addBytesSent) {
        await Promise.all([
          job.updateProgress(progress),
          records.update(data.deliveryId, {
            stage: progress.stage,
            total: progress.total,
            confirmed: progress.confirmed,
            quarantined: progress.quarantined,
            addBytesSent,
          }),
          context.stats.bytes(data.target, addBytesSent),
        ]).catch((error: unknown) => log.warn({ err: error }, 'progress could not be written'));
      },
      entered: (stage) => say(`stage ${stage}`),
      left: (stage, durationMs) => context.metrics.stages.observe({ target: data.target, stage }, durationMs / 1000),
      quarantined(sopInstanceUid, error) {
        say(`quarantined ${sopInstanceUid}: ${error.message}`);
        log.warn({ instance: sopInstanceUid, code: error.code, reason: error.message }, 'instance quarantined');
        context.metrics.quarantined.inc({ target: data.target, code: error.code });
        void records
          .update(
            data.deliveryId,
            {},
            { kind: 'quarantined', attempt: attempts, code: error.code, text: `${sopInstanceUid}: ${error.message}` },
          )
          .catch(() => {});
      },
      throttle: (bytes) => context.throttle(data.target, bytes, signal),
    },
    attempt,
  );
  try {
    const source = await context.source(data.source);
    const study = { source: data.source, orthancStudyId: data.orthancStudyId, studyInstanceUid: data.studyInstanceUid };
    const result = await runDelivery({
      data,
      attempt: attempts,
      resolve: () => context.resolve(data.target),
      readStudy: async () => (await source.readStudy(data.orthancStudyId, signal)).tags,
      readManifest: () => source.readManifest(study, signal),
      readInstanceTags: (names) => source.readInstanceTags(data, names, signal),
      transform: () => data.transform && source.transform(data.transform.definition),
      open: (instance, options) => source.open(instance, options),
      ledger: context.ledger,
      fence: { lockKey: `${context.config.redis.prefix}:${job.queueName}:${job.id}:lock`, token },
      progress: tracker,
      connected() {
        if (isConnected) return;
        isConnected = true;
        void circuits
          .succeed(data.target)
          .then((closed) => closed && context.circuitClosed(data.target))
          .catch((error: unknown) => log.warn({ err: error }, 'circuit could not be closed'));
      },
      state: redisState(context.redis, context.config.redis.prefix, data.deliveryId),
      log: {
        info: (text, facts) => (log.info(facts ?? {}, text), say(text)),
        warn: (text, facts) => (log.warn(facts ?? {}, text), say(text)),
      },
      signal,
    });
    await tracker.end();
    say(`delivered: ${result.sent} instances sent, ${result.skipped} were there already`);
    await ended('delivered', undefined, `${result.sent} instances sent, ${result.skipped} were there already`);
    await context.clearState(data.deliveryId);
    return result;
  } catch (thrown) {
    await tracker.end();
    return await failed(thrown);
  } finally {
    // It ended without a word on the target itself (the study is gone, nothing was pending): the next one may probe.
    if (isProbe && !isConnected) await circuits.abandon(data.target).catch(() => {});
  }

  /**
   * Reasons to wait that burn no attempt: outside the schedule, or the circuit of the target is open.
   *
   * @returns whether this attempt is the circuit's probe
   */
  async function notNow(): Promise<boolean> {
    if (await context.isCancelled(data.deliveryId)) {
      await records.update(
        data.deliveryId,
        { state: 'cancelled', endedAt: Date.now() },
        { kind: 'ended', text: 'cancelled before it started' },
      );
      throw new UnrecoverableError('cancelled by an operator');
    }
    if (await context.isHeld(data.deliveryId)) {
      await job.moveToDelayed(Date.now() + heldForMs, token);
      throw new DelayedError();
    }
    await leaveIfLeft(context, data);
    if (target?.enabled === false) await leaveTarget(context, data, 'the target is switched off');
    const opensAt = target?.enabled === false ? Date.now() + 60_000 : opensNext();
    if (opensAt > Date.now()) {
      await records.update(
        data.deliveryId,
        { nextAttemptAt: opensAt },
        {
          kind: 'waiting',
          text: target?.enabled === false ? 'the target is switched off' : outsideOf(),
        },
      );
      await job.moveToDelayed(opensAt, token);
      throw new DelayedError();
    }
    const verdict = await circuits.check(data.target);
    if (verdict.kind !== 'open') return verdict.kind === 'probe';
    await leaveTarget(context, data, 'its circuit is open');
    await delivery.pauseTarget(verdict.retryInMs);
    throw new RateLimitError();
  }

  /** When the target and one of the rules that want this delivery are open together. */
  function opensNext(): number {
    const now = Date.now();
    const lists = [...(target?.schedule ? [[target.schedule]] : []), ...(data.schedules ? [data.schedules] : [])];
    return nextStartAt(lists, now) ?? now + lookAgainMs;
  }

  function outsideOf(): string {
    if (target?.schedule && !isOpen(target.schedule, Date.now())) return 'outside the schedule of the target';
    return 'outside the schedule of its rule';
  }

  async function failed(thrown: unknown): Promise<never> {
    const reason = signal.aborted ? (signal.reason as StopReason) : undefined;
    if (reason === 'lock-lost' || (thrown instanceof DispatchError && thrown.code === 'lock-lost')) {
      // Another worker owns the delivery now: say nothing in its name.
      log.warn({ attempt }, 'delivery was taken over by another worker');
      throw new Error('the lock of the job was lost');
    }
    if (reason === 'shutdown') {
      log.info({ attempt, confirmed: tracker.counts.confirmed }, 'delivery handed back at shutdown');
      say('handed back: the dispatcher is stopping');
      await records.update(
        data.deliveryId,
        { state: 'waiting', worker: null },
        { kind: 'waiting', attempt: attempts, text: 'handed back: the dispatcher is stopping' },
      );
      await job.moveToWait(token);
      throw new WaitingError();
    }
    const error =
      reason === 'cancelled'
        ? new DispatchError('cancelled', 'cancelled by an operator', { stage: tracker.stage })
        : asDispatchError(thrown, tracker.stage);
    const line = `[${error.stage}] ${error.code}: ${error.message}`;
    say(`failed ${line}`);
    log[error.disposition === 'permanent' ? 'error' : 'warn'](
      {
        attempt,
        stage: error.stage,
        code: error.code,
        reason: error.message,
        err: error.code === 'internal' ? error : undefined,
      },
      'attempt failed',
    );
    context.metrics.failures.inc({ target: data.target, stage: error.stage, code: error.code });

    const isOutOfReach = (error.disposition === 'wait' || error.disposition === 'halt') && !isConnected;
    if (isOutOfReach) await waitForTarget(error, line);
    if (error.disposition === 'permanent') {
      await ended(endState(error), error, line);
      throw new UnrecoverableError(line);
    }
    const isLast = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
    if (isLast) {
      await leaveTarget(context, data, line, { exhausted: true, patch: patchOf(error) });
      await ended('failed', error, `${line}; no attempt is left`);
    } else {
      const waitMs = target ? backOffMs(target.backoff, attempt, error.retryAfterMs) : 1_000;
      context.nextWait.set(data.deliveryId, waitMs);
      await records.update(
        data.deliveryId,
        {
          state: 'waiting',
          failStage: error.stage,
          error: error.toRecord(),
          nextAttemptAt: Date.now() + waitMs,
          worker: null,
          ...counts(),
        },
        { kind: 'failed', attempt: attempts, stage: error.stage, code: error.code, text: error.message },
      );
    }
    throw new Error(line, { cause: error });
  }

  /** The target as a whole is out of reach: the circuit opens, the delivery waits, no attempt is burnt. */
  async function waitForTarget(error: DispatchError, line: string): Promise<void> {
    const waited = Date.now() - Math.max(data.routedAt, (await context.retriedAt(data.deliveryId)) ?? 0);
    const giveUpAfter = target?.giveUpAfter ?? 0;
    const circuit = await circuits.fail(data.target, error.toRecord(), error.retryAfterMs);
    if (circuit.opened) context.circuitOpened(data.target, error);
    await leaveTarget(context, data, line, { patch: patchOf(error) });
    if (giveUpAfter > 0 && waited > giveUpAfter) {
      const gaveUp = new DispatchError(
        'gave-up',
        `the target could not be used for longer than it allows: ${error.message}`,
        { stage: error.stage, cause: error },
      );
      await ended('failed', gaveUp, `${line}; gave up`);
      throw new UnrecoverableError(`[${gaveUp.stage}] ${gaveUp.code}: ${gaveUp.message}`);
    }
    await records.update(
      data.deliveryId,
      {
        state: 'waiting',
        failStage: error.stage,
        error: error.toRecord(),
        nextAttemptAt: Date.now() + circuit.waitMs,
        attempts: attempts - 1,
        worker: null,
        ...counts(),
      },
      { kind: 'waiting', attempt: attempts, stage: error.stage, code: error.code, text: error.message },
    );
    await delivery.pauseTarget(circuit.waitMs);
    throw new RateLimitError();
  }

  async function ended(state: DeliveryState, error: DispatchError | undefined, text: string): Promise<void> {
    const endedAt = Date.now();
    const patch: DeliveryPatch = {
      state,
      endedAt,
      nextAttemptAt: null,
      stage: tracker.stage,
      failStage: error?.stage ?? null,
      error: error?.toRecord() ?? null,
      ...counts(),
    };
    await records.update(data.deliveryId, patch, {
      kind: 'ended',
      attempt: attempts,
      text,
      ...(error && { stage: error.stage, code: error.code }),
    });
    context.metrics.ended.inc({ target: data.target, state });
    context.metrics.duration.observe({ target: data.target, state }, (endedAt - startedAt) / 1000);
    void context.stats.ended(data.target, state).catch(() => {});
    log.info(
      { state, attempt, ms: endedAt - startedAt, bytes: tracker.bytesSent, ...tracker.counts },
      'delivery ended',
    );
  }

  function patchOf(error: DispatchError): DeliveryPatch {
    return { failStage: error.stage, error: error.toRecord(), ...counts() };
  }

  function counts(): Pick<DeliveryPatch, 'total' | 'confirmed' | 'quarantined'> {
    return tracker.counts.total > 0 ? tracker.counts : {};
  }
}

function endState(error: DispatchError): DeliveryState {
  if (error.code === 'partial') return 'partial';
  if (error.code === 'source-gone') return 'source-gone';
  return error.code === 'cancelled' ? 'cancelled' : 'failed';
}
