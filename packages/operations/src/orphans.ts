import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import { deliveryData } from '@dicom-dispatch/core';
import { cancelDelivery } from './cancel-delivery.ts';
import type { Actor, PipelineContext } from '@dicom-dispatch/pipeline';
import { eachDelivery } from './each-delivery.ts';
import { newDelivery, replaceDelivery } from '@dicom-dispatch/pipeline';
import { OperationError } from '@dicom-dispatch/pipeline';

/** What an operator decided, and how many deliveries it concerned. */
export interface OrphanResult {
  readonly done: number;
  /** Deliveries that still run or wait. */
  readonly left: number;
}

/**
 * Targets that are no longer in the configuration and that still have waiting deliveries: their queues are kept until an
 * operator moves the deliveries to another target, drops them, or restores the target.
 */
export async function listOrphans(context: PipelineContext): Promise<string[]> {
  const { redis, keys } = context;
  const configured = context.config().targets;
  const removed = (await redis.smembers(keys.targets)).filter((name) => configured[name] === undefined);
  const flags = await Promise.all(removed.map((name) => isOrphan(context, name)));
  return removed.filter((_, index) => flags[index]).sort();
}

/** Whether a target is not configured, and deliveries wait for it. */
export async function isOrphan(context: PipelineContext, name: string): Promise<boolean> {
  if (context.config().targets[name] !== undefined) return false;
  const { waiting, active } = await context.records.counts(name);
  return waiting + active > 0;
}

/**
 * Moves the waiting deliveries of a removed target to another one. A study keeps its transform, e.g. an anonymisation. Held
 * deliveries stay held.
 *
 * @throws OperationError `not-found` if the orphan or target does not exist
 */
export async function moveOrphan(
  context: PipelineContext,
  name: string,
  to: string,
  actor: Actor,
): Promise<OrphanResult> {
  await needOrphan(context, name);
  context.queues.known(context.config(), to);
  const result = await forEachWaiting(context, name, (record) => moveOne(context, record, to, actor));
  await forgetWhenEmpty(context, name);
  return result;
}

/**
 * Cancels the waiting deliveries of a removed target. Confirmations are kept.
 *
 * @throws OperationError `not-found` if the orphan does not exist
 */
export async function dropOrphan(context: PipelineContext, name: string, actor: Actor): Promise<OrphanResult> {
  await needOrphan(context, name);
  const result = await forEachWaiting(context, name, async ({ deliveryId }) => {
    await cancelDelivery(context, deliveryId, actor);
    return true;
  });
  await forgetWhenEmpty(context, name);
  return result;
}

async function needOrphan(context: PipelineContext, name: string): Promise<void> {
  if (await isOrphan(context, name)) return;
  throw new OperationError(
    'not-found',
    context.config().targets[name] === undefined
      ? `no delivery waits for a removed target "${name}"`
      : `the target "${name}" is in the configuration: remove it there first`,
  );
}

async function forEachWaiting(
  context: PipelineContext,
  target: string,
  act: (record: DeliveryRecord) => Promise<boolean>,
): Promise<OrphanResult> {
  const waiting: DeliveryRecord[] = [];
  for await (const record of eachDelivery(context, { target, state: 'waiting' })) waiting.push(record);
  let done = 0;
  for (const record of waiting) if (await act(record)) done += 1;
  const { waiting: still, active } = await context.records.counts(target);
  return { done, left: still + active };
}

async function moveOne(context: PipelineContext, record: DeliveryRecord, to: string, actor: Actor): Promise<boolean> {
  const { records, queues } = context;
  const pipelineContext = { ...context, config: context.config() };
  const data = deliveryData.parse(record);
  // `replaceDelivery` takes over a hold.
  const { group: _, hold: __, ...alone } = data;
  // It keeps its own transform; without one, that of the new target applies, as for every delivery to it.
  const moved = await newDelivery(pipelineContext, alone, to, { keepsTransform: data.transform !== undefined });
  const left = await replaceDelivery(pipelineContext, data, moved, {
    keepsTarget: false,
    from: ['waiting'],
    event: {
      kind: 'operator',
      text: `moved to ${to} by ${actor.name}: ${data.target} was removed from the configuration`,
    },
  });
  // A dispatcher that still has the target has just started it: both targets receive the study.
  if (left.kind === 'refused') return false;
  // If a worker has just taken the job, it finds that the delivery has ended.
  const job = await queues.target(data.target).getJob(data.deliveryId);
  await job?.remove().catch(() => {});
  await records.update(
    moved.deliveryId,
    {},
    { kind: 'operator', text: `moved here from ${data.target} by ${actor.name}` },
  );
  return true;
}

async function forgetWhenEmpty(context: PipelineContext, name: string): Promise<void> {
  if (!(await isOrphan(context, name))) await context.redis.srem(context.keys.targets, name);
}
