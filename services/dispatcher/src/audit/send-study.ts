import { wakeDelivery, type WakeContext } from '@dicom-dispatch/pipeline';
import type { Ledger, LedgerKey, ReadConfirmation } from '@dicom-dispatch/state/ledger';
import { act, fromNow } from '@dicom-dispatch/state/records';

/** It goes on by itself so long after, should this process die before it is woken. */
const dueMs = 60_000;

/** What a target lacks of a study that it had confirmed. */
export interface LackedStudy {
  /** The latest delivery of the study in its shape. */
  readonly deliveryId: string;
  readonly key: LedgerKey;
  /** Under every name that an instance may have in the ledger. */
  readonly wrong: readonly ReadConfirmation[];
  readonly instances: number;
  /** Who wants it sent. */
  readonly by: string;
}

/**
 * Sends again what a target lacks of a study. The delivery is opened before anything is taken out of the ledger: wherever this ends,
 * either the ledger still says what the target is believed to have, and the next audit finds it again, or an open delivery sends it.
 *
 * @returns how many confirmations were taken back; undefined when its delivery cannot be opened, e.g. since it was moved
 * @throws DispatchError when Redis does not respond
 */
export async function sendStudy(
  context: WakeContext & { readonly ledger: Pick<Ledger, 'takeBack'> },
  { deliveryId, key, wrong, instances, by }: LackedStudy,
): Promise<number | undefined> {
  const first = await open();
  if (first === 'closed') return undefined;
  const taken = await context.ledger.takeBack(key, wrong);
  // An attempt that went on meanwhile, e.g. while this process stood still, may have ended before the ledger had the hole.
  const then = taken > 0 ? await open() : first;
  if (first === 'opened' || then === 'opened') await wakeDelivery(context, deliveryId);
  return taken;

  /** One that waits, or is under way, compares with the ledger before it ends. */
  async function open(): Promise<'opened' | 'was-open' | 'closed'> {
    const changed = await context.records.change(deliveryId, {
      ...act('sendAgain'),
      patch: {
        state: 'waiting',
        wake: 'due',
        nextAttemptAt: fromNow(dueMs),
        endedAt: null,
        worker: null,
        retriedAt: fromNow(),
        failures: null,
        waits: null,
        losses: null,
        resolution: null,
        error: null,
        failStage: null,
      },
      event: {
        kind: 'operator',
        text: `${instances} confirmed instances are missing at the target: sent again by ${by}`,
      },
    });
    if (changed.kind === 'done') return 'opened';
    return changed.state === 'waiting' || changed.state === 'active' ? 'was-open' : 'closed';
  }
}
