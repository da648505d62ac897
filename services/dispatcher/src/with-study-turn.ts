import { ledgerKeyOf } from '@dicom-dispatch/core';
import { fenceOf, type DeliveryTurn } from './delivery-turn.ts';
import { delay } from './wait-for-turn.ts';

/** After so long a waiting delivery looks again by itself, should the end of the other one not have been told. */
const lookAgainMs = 30_000;

/**
 * Runs while no other delivery of the same study to the same target does: both would find the same instances missing in
 * the ledger, and send them twice. Who comes second waits, and burns no attempt.
 *
 * @throws DelayedError for BullMQ when another one is under way
 */
export async function withStudyTurn<T>(turn: DeliveryTurn, run: () => Promise<T>): Promise<T> {
  const { context, data } = turn;
  const key = ledgerKeyOf(data);
  const fence = fenceOf(turn);
  const answer = await context.turns.take(key, data.deliveryId, fence);
  if (answer.kind === 'wait') {
    const why = answer.isFirstTry ? 'another delivery of this study to the target is under way' : undefined;
    try {
      return await delay(turn, Date.now() + lookAgainMs, why);
    } finally {
      // The other one may have ended before this job was put back, and could not bring it forward.
      if (await context.turns.isFree(key).catch(() => false)) await bringForward(turn, data.deliveryId);
    }
  }
  try {
    return await run();
  } finally {
    // Should Redis be away, the turn ends with the lock of the job, and the others look again by themselves.
    const waiting = await context.turns.end(key, fence).catch(() => []);
    for (const deliveryId of waiting) await bringForward(turn, deliveryId);
  }
}

async function bringForward({ context, data, log }: DeliveryTurn, deliveryId: string): Promise<void> {
  try {
    const job = await context.queues.target(data.target).getJob(deliveryId);
    if ((await job?.getState()) === 'delayed') await job?.promote();
  } catch (error) {
    log.warn(
      { err: error, waiting: deliveryId },
      'a waiting delivery could not be brought forward: it looks again by itself',
    );
  }
}
