import type { DeliveryRecord, DeliveryState, SelectableState } from '@dicom-dispatch/state/records';
import { cancelDelivery } from './cancel-delivery.ts';
import type { Actor, PipelineContext } from '@dicom-dispatch/pipeline';
import { eachDelivery, type DeliverySelection } from './each-delivery.ts';
import { heldAmong, holdDelivery, releaseDelivery } from './hold-delivery.ts';
import { OperationError } from '@dicom-dispatch/pipeline';
import { checkReason, reopenDelivery, resolveDelivery } from './resolve-delivery.ts';
import { retryDelivery } from './retry-delivery.ts';
import { sendFirst } from './send-first.ts';

export const bulkActions = ['retry', 'cancel', 'hold', 'release', 'resolve', 'reopen', 'first'] as const;
export type BulkAction = (typeof bulkActions)[number];

const max = 100_000;
const atOnce = 20;
const maxShown = 5;

/** States in which an action is useful. */
const fits: Readonly<Record<BulkAction, readonly DeliveryState[]>> = {
  retry: ['failed', 'partial', 'cancelled', 'source-gone', 'waiting', 'resolved'],
  cancel: ['waiting', 'active'],
  hold: ['waiting'],
  release: ['waiting'],
  resolve: ['failed', 'partial', 'source-gone'],
  reopen: ['resolved'],
  first: ['waiting'],
};

export interface BulkPreview {
  /** Number of deliveries that the action would reach. */
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

type Selected = Pick<DeliveryRecord, 'deliveryId' | 'state'>;

/** What an action on many deliveries would reach. */
export async function previewMany(
  context: PipelineContext,
  action: BulkAction,
  selection: DeliverySelection,
): Promise<BulkPreview> {
  const targets = selection.target === undefined ? await everyTarget(context) : [selection.target];
  const byTarget: Record<string, number> = {};
  for (const target of targets) {
    const count = await countOne(context, action, { ...selection, target });
    if (count > 0) byTarget[target] = count;
  }
  const sample: DeliveryRecord[] = [];
  for await (const record of select(context, action, selection)) if (sample.push(record) === maxShown) break;
  return { count: Object.values(byTarget).reduce((sum, count) => sum + count, 0), byTarget, sample };
}

/** Names of all targets, including those that are no longer configured. */
async function everyTarget({ config, redis, keys }: PipelineContext): Promise<Set<string>> {
  return new Set([...Object.keys(config().targets), ...(await redis.smembers(keys.targets))]);
}

/** How many deliveries of one target an action would reach; only held ones are checked individually. */
async function countOne(context: PipelineContext, action: BulkAction, selection: DeliverySelection): Promise<number> {
  let count = 0;
  for (const state of statesFor(action, selection)) {
    if (action !== 'release') count += await context.records.countDeliveries({ ...selection, state });
    else {
      for await (const ids of context.records.deliveryIds({ ...selection, state })) {
        count += (await heldAmong(context, ids)).size;
      }
    }
  }
  return count;
}

/**
 * Applies an action to many deliveries; those for which it is not possible are skipped.
 *
 * @param reason - of a `resolve`
 * @throws OperationError `invalid` if too many deliveries match, or a `resolve` has no reason
 */
export async function actOnMany(
  context: PipelineContext,
  action: BulkAction,
  selection: DeliverySelection,
  actor: Actor,
  reason?: string,
): Promise<BulkResult> {
  if (action === 'resolve') checkReason(reason);
  const found: Selected[] = [];
  // All are selected before the first is changed: changed ones would be found again.
  for await (const { deliveryId, state } of select(context, action, selection)) {
    if (found.push({ deliveryId, state }) > max) {
      throw new OperationError('invalid', `more than ${max} deliveries match: narrow the filter`);
    }
  }
  const queue = found.values();
  let done = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const one of queue) if (await actOnOne(context, action, one, actor, reason)) done += 1;
    }),
  );
  return { matched: found.length, done, skipped: found.length - done };
}

/** States that an action reaches. */
function statesFor(action: BulkAction, { state }: DeliverySelection): readonly SelectableState[] {
  if (state === 'held') return fits[action].includes('waiting') ? [state] : [];
  if (state !== undefined) return fits[action].includes(state) ? [state] : [];
  // A retry of "everything" means failed deliveries; waiting or resolved ones are retried only on explicit request.
  return fits[action].filter((one) => action !== 'retry' || (one !== 'waiting' && one !== 'resolved'));
}

/** A delivery that failed since it was selected is retried too; one that an operator has cancelled or resolved since then is not. */
function retriedFrom(selected: DeliveryState): readonly DeliveryState[] {
  return fits.retry.filter((one) => one === selected || (one !== 'cancelled' && one !== 'resolved'));
}

async function* select(
  context: PipelineContext,
  action: BulkAction,
  selection: DeliverySelection,
): AsyncGenerator<DeliveryRecord, void, undefined> {
  for (const state of statesFor(action, selection)) {
    for await (const record of eachDelivery(context, { ...selection, state })) {
      if (action !== 'release' || (await heldAmong(context, [record.deliveryId])).size > 0) yield record;
    }
  }
}

async function actOnOne(
  context: PipelineContext,
  action: BulkAction,
  { deliveryId, state }: Selected,
  actor: Actor,
  reason: string | undefined,
): Promise<boolean> {
  try {
    if (action === 'retry') await retryDelivery(context, deliveryId, actor, { from: retriedFrom(state) });
    else if (action === 'cancel') await cancelDelivery(context, deliveryId, actor);
    else if (action === 'hold') await holdDelivery(context, deliveryId, actor);
    else if (action === 'resolve') await resolveDelivery(context, deliveryId, actor, reason);
    else if (action === 'reopen') await reopenDelivery(context, deliveryId, actor);
    else if (action === 'first') await sendFirst(context, deliveryId, actor);
    else return await releaseDelivery(context, deliveryId, actor);
    return true;
  } catch (error) {
    if (error instanceof OperationError) return false;
    throw error;
  }
}
