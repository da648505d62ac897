import { performance } from 'node:perf_hooks';
import { redisNow } from '@dicom-dispatch/state/redis';
import { createTargetMemory } from '@dicom-dispatch/state/target-memory';
import { fenceOf, type Attempt } from './delivery-job-run.ts';
import { isSharedPlace } from './at-same-place.ts';
import { takenUids } from './taken-uids.ts';
import { ReceiptWriter } from './receipt-writer.ts';
import { redisState } from './redis-state.ts';
import { restoreLedger } from './restore-ledger.ts';
import type { DeliveryDependencies } from './run-delivery.ts';

/** The dependencies of `runDelivery` for this attempt. */
export async function dependenciesOf(attempt: Attempt): Promise<DeliveryDependencies> {
  const { context, data, signal, tracker, log, logLine } = attempt;
  const { prefix } = context.config.redis;
  const [begunAt, begun] = [await redisNow(context.redis, prefix), performance.now()];
  let restored: Promise<void> | undefined;
  return {
    data,
    source: await context.sources.study(data, signal, { provesGone: true }),
    ledgerName: attempt.ledger,
    attempt: attempt.number,
    now: () => begunAt + Math.round(performance.now() - begun),
    resolve: () => context.resolve(data.target),
    isSharedPlace: () => isSharedPlace(attempt),
    takenUids: (instances) => takenUids(attempt, instances),
    listings: (config, manifest) => context.listings({ name: data.target, config }, manifest),
    share: attempt.memory,
    ledger: context.ledger,
    // Only once in an attempt: when an outdated manifest is read again, confirmations may have been revoked meanwhile.
    restoreLedger: (key, all) => (restored ??= restoreLedger(attempt, key, all)),
    receipts: new ReceiptWriter(context.config.receipts, attempt.place, attempt.number),
    fence: fenceOf(attempt),
    progress: tracker,
    answered() {
      if (attempt.hasAnswered) return;
      attempt.hasAnswered = true;
      void context
        .targetAnswers(data.target)
        .catch((error: unknown) => log.warn({ err: error }, 'circuit could not be closed'));
    },
    complete(key, instances) {
      attempt.foldLedger = () => context.ledger.fold(key, instances);
    },
    mailbox: context.mailbox,
    state: redisState(context.redis, prefix, data.deliveryId, fenceOf(attempt)),
    memory: createTargetMemory(context.redis, prefix, data.target),
    log: {
      info: (text, facts) => (log.info(facts ?? {}, text), logLine(text)),
      warn: (text, facts) => (log.warn(facts ?? {}, text), logLine(text)),
    },
    signal,
  };
}
