import type { DeliveryResult } from '@dicom-dispatch/core';
import { DeliveryProgressTracker, type ProgressSink } from './delivery-progress.ts';
import { fenceOf, openTurn, tell, type Attempt, type DeliveryJob, type DeliveryTurn } from './delivery-turn.ts';
import type { DispatcherContext } from './dispatcher-context.ts';
import { attemptFailed, deliveryEnded } from './end-attempt.ts';
import { runDelivery, type DeliverySetting } from './run-delivery.ts';
import { createTargetMemory } from '@dicom-dispatch/state/target-memory';
import { redisState } from './redis-state.ts';
import { waitForPlace, type DeliveryPlace } from './wait-for-place.ts';
import { waitForCircuit, waitForTurn } from './wait-for-turn.ts';
import { withStudyTurn } from './with-study-turn.ts';

/**
 * One turn of a delivery's job: decides whether it may go now, runs the attempt, and writes down how it ended — on the
 * job (so that BullMQ retries or ends it) and on the delivery's record.
 *
 * @throws HandedOver when another target of its group has taken it over
 */
export async function processDelivery(context: DispatcherContext, delivery: DeliveryJob): Promise<DeliveryResult> {
  const turn = openTurn(context, delivery);
  await waitForTurn(turn);
  return withStudyTurn(turn, () => runTurn(turn));
}

async function runTurn(turn: DeliveryTurn): Promise<DeliveryResult> {
  const { context, data, say } = turn;
  const place = await waitForPlace(turn);
  const { isProbe } = await waitForCircuit(turn);
  await context.giveTurn(data);
  const attempt = await begin(turn, place);
  const { tracker } = attempt;
  try {
    const result = await runDelivery(await settingOf(attempt));
    await tracker.end();
    const told = `${result.sent} instances sent, ${result.skipped} were there already`;
    say(`delivered: ${told}`);
    await deliveryEnded(attempt, 'delivered', undefined, told);
    await context.clearState(data.deliveryId);
    return result;
  } catch (thrown) {
    await tracker.end();
    return await attemptFailed(attempt, thrown);
  } finally {
    // It ended without a word on the target itself (the study is gone, nothing was pending): the next one may probe.
    if (isProbe && !attempt.isConnected) await context.circuits.abandon(data.target).catch(() => {});
  }
}

async function begin(turn: DeliveryTurn, { ledger, place }: DeliveryPlace): Promise<Attempt> {
  const { context, data, job, log, say } = turn;
  const number = job.attemptsMade + 1;
  const startedAt = Date.now();
  const record = await context.records.delivery(data.deliveryId);
  const numberInAll = (record?.attempts ?? 0) + 1;
  // What a handler has kept is about the place where it was.
  if (record && (record.ledger ?? data.target) !== ledger) await context.clearState(data.deliveryId);
  say(`attempt ${number} of ${job.opts.attempts ?? 1} by ${context.worker}`);
  log.info({ attempt: number }, 'delivery started');
  await tell(
    turn,
    {
      state: 'active',
      stage: 'resolve',
      ledger,
      place,
      attempts: numberInAll,
      startedAt,
      endedAt: null,
      nextAttemptAt: null,
      worker: context.worker,
    },
    { kind: 'started', attempt: numberInAll, worker: context.worker, text: `attempt ${number} started` },
  );
  const tracker = new DeliveryProgressTracker(sinkOf(turn, numberInAll), number);
  return { ...turn, number, numberInAll, startedAt, tracker, ledger, place, isConnected: false };
}

/** Where the progress of an attempt is told: the job, the delivery's record, and the plots of the console. */
function sinkOf(turn: DeliveryTurn, numberInAll: number): ProgressSink {
  const { context, data, job, signal, log, say } = turn;
  return {
    async update(progress, addBytesSent) {
      await Promise.all([
        job.updateProgress(progress),
        tell(turn, {
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
      const text = `${sopInstanceUid}: ${error.message}`;
      void tell(turn, {}, { kind: 'quarantined', attempt: numberInAll, code: error.code, text }).catch(() => {});
    },
    throttle: (bytes) => context.throttle(data.target, bytes, signal),
  };
}

/** What `runDelivery` needs of the world, for this attempt. */
async function settingOf(attempt: Attempt): Promise<DeliverySetting> {
  const { context, data, signal, tracker, log, say } = attempt;
  const { prefix } = context.config.redis;
  const source = await context.source(data.source);
  return {
    data,
    ledgerName: attempt.ledger,
    attempt: attempt.numberInAll,
    resolve: () => context.resolve(data.target),
    readStudy: (wanted) => source.readStudy(data.orthancStudyId, wanted, signal),
    readManifest: (lastUpdate, how) => source.shareManifest({ ...data, lastUpdate }, how, signal),
    readInstanceTags: (names, manifest) => source.readInstanceTags({ ...data, manifest }, names, signal),
    transform: () => data.transform && source.transform(data.transform.definition),
    open: (instance, options) => source.open(instance, options),
    isSourceWell: () => source.isWell(signal),
    listings: (config, manifest) => context.listings({ name: data.target, config }, manifest),
    ledger: context.ledger,
    fence: fenceOf(attempt),
    progress: tracker,
    connected() {
      if (attempt.isConnected) return;
      attempt.isConnected = true;
      void context.circuits
        .succeed(data.target)
        .then((closed) => closed && context.circuitClosed(data.target))
        .catch((error: unknown) => log.warn({ err: error }, 'circuit could not be closed'));
    },
    mailbox: context.mailbox,
    state: redisState(context.redis, prefix, data.deliveryId),
    memory: createTargetMemory(context.redis, prefix, data.target),
    log: {
      info: (text, facts) => (log.info(facts ?? {}, text), say(text)),
      warn: (text, facts) => (log.warn(facts ?? {}, text), say(text)),
    },
    signal,
  };
}
