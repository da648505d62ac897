import type { DeliveryRecord, DeliveryState } from '@dicom-dispatch/cache/records';
import { cancelDelivery } from './cancel-delivery.ts';
import type { Actor, OperationsContext } from './context.ts';
import { eachDelivery, type DeliverySelection } from './each-delivery.ts';
import { heldAmong, holdDelivery, releaseDelivery } from './hold-delivery.ts';
import { OperationError } from './operation-error.ts';
import { retryDelivery } from './retry-delivery.ts';

export const bulkActions = ['retry', 'cancel', 'hold', 'release'] as const;
export type BulkAction = (typeof bulkActions)[number];

const most = 100_000;
const atOnce = 20;

/** States in which an action makes sense. */
const fits: Readonly<Record<BulkAction, readonly DeliveryState[]>> = {
  retry: ['failed', 'partial', 'cancelled', 'source-gone', 'waiting'],
  cancel: ['waiting', 'active'],
  hold: ['waiting'],
  release: ['waiting'],
};

export interface BulkPreview {
  /** How many the action would reach. */
  readonly count: number;
  readonly byTarget: Readonly<Record<string, number>>;
  /** A few of them. */
  readonly sample: readonly DeliveryRecord[];
}

export interface BulkResult {
  readonly matched: number;
  readonly done: number;
  /** Those that changed state meanwhile. */
  readonly skipped: number;
}

/** What an action on many deliveries would reach. */
export async function previewMany(
  context: OperationsContext,
  action: BulkAction,
  selection: DeliverySelection,
): Promise<BulkPreview> {
  const found = await select(context, action, selection);
  const byTarget: Record<string, number> = {};
  for (const { target } of found) byTarget[target] = (byTarget[target] ?? 0) + 1;
  return { count: found.length, byTarget, sample: found.slice(0, 5) };
}

/** Does one thing to many deliveries; one that cannot be done is skipped, and the rest go on. */
export async function actOnMany(
  context: OperationsContext,
  action: BulkAction,
  selection: DeliverySelection,
  actor: Actor,
): Promise<BulkResult> {
  const found = await select(context, action, selection);
  const queue = found.values();
  let done = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const { deliveryId } of queue) if (await actOnOne(context, action, deliveryId, actor)) done += 1;
    }),
  );
  return { matched: found.length, done, skipped: found.length - done };
}

async function select(
  context: OperationsContext,
  action: BulkAction,
  selection: DeliverySelection,
): Promise<DeliveryRecord[]> {
  const found: DeliveryRecord[] = [];
  // A retry of "everything" means what has failed; what merely waits is retried only when it is asked for.
  const states = selection.state
    ? [selection.state]
    : fits[action].filter((state) => action !== 'retry' || state !== 'waiting');
  for (const state of states) {
    if (!fits[action].includes(state)) continue;
    for await (const record of eachDelivery(context, { ...selection, state })) {
      found.push(record);
      if (found.length > most) {
        throw new OperationError('invalid', `more than ${most} deliveries are meant: narrow the filter`);
      }
    }
  }
  if (action !== 'release') return found;
  const held = await heldAmong(
    context,
    found.map((record) => record.deliveryId),
  );
  return found.filter((record) => held.has(record.deliveryId));
}

async function actOnOne(
  context: OperationsContext,
  action: BulkAction,
  deliveryId: string,
  actor: Actor,
): Promise<boolean> {
  try {
    if (action === 'retry') await retryDelivery(context, deliveryId, actor);
    else if (action === 'cancel') await cancelDelivery(context, deliveryId, actor);
    else if (action === 'hold') await holdDelivery(context, deliveryId, actor);
    else return await releaseDelivery(context, deliveryId, actor);
    return true;
  } catch (error) {
    if (error instanceof OperationError) return false;
    throw error;
  }
}
