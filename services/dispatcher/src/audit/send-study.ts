import { wakeDelivery, type WakeContext } from '@dicom-dispatch/pipeline';
import type { Ledger, LedgerKey, ReadConfirmation } from '@dicom-dispatch/state/ledger';
import { act, fromNow } from '@dicom-dispatch/state/records';

/** The delivery continues after this time if this process crashes before it wakes the delivery. */
const dueMs = 60_000;

/** Confirmed instances of a study that a target lacks. */
export interface LackedStudy {
  /** The latest delivery of the study in its shape. */
  readonly deliveryId: string;
  readonly key: LedgerKey;
  /** Confirmations that are false, under every name that an instance may have in the ledger. */
  readonly wrong: readonly ReadConfirmation[];
  readonly instances: number;
  /** Who requested it. */
  readonly by: string;
}

/**
 * Sends instances again that a target lacks. The delivery is opened before anything is removed from the ledger: after a crash
 * at any point, either the ledger is unchanged, and the next audit finds it again, or an open delivery sends the instances.
 *
 * @returns how many confirmations were removed; undefined if its delivery cannot be opened, e.g. because it was moved
 * @throws DispatchError if Redis does not respond
 */
export async function sendStudy(
  context: WakeContext & { readonly ledger: Pick<Ledger, 'takeBack'> },
  { deliveryId, key, wrong, instances, by }: LackedStudy,
): Promise<number | undefined> {
  const first = await open();
  if (first === 'closed') return undefined;
  const taken = await context.ledger.takeBack(key, wrong);
  // An attempt that continued meanwhile, e.g. while this process was paused, may have ended before the confirmations were
  // removed.
  const then = taken > 0 ? await open() : first;
  if (first === 'opened' || then === 'opened') await wakeDelivery(context, deliveryId);
  return taken;

  /** A waiting or running delivery compares with the ledger before it ends. */
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
