import { setTimeout as sleep } from 'node:timers/promises';
import { formatDuration, nextStartAt } from '@dicom-dispatch/core';
import type { Actor, PipelineContext } from '@dicom-dispatch/pipeline';
import type { CircuitState } from '@dicom-dispatch/state/circuit';
import { endStates, type DeliveryRecord } from '@dicom-dispatch/state/records';
import { redisNow } from '@dicom-dispatch/state/redis';
import { explainWaiting } from './explain-waiting.ts';
import { findDelivery } from './find-delivery.ts';
import { retryDelivery } from './retry-delivery.ts';

/** Result of an action, as text for the user. */
export interface Did {
  readonly did: string;
  /** When its schedule opens (ms since 1970): before that time it is only sent with `anyway`. */
  readonly opensAt?: number;
}

const lookMs = 200;
/** How long to wait for the result of a probe, which a dispatcher begins within two seconds. */
const probeWithinMs = 8_000;
/** How long to wait for the start of an attempt. */
const startWithinMs = 2_500;

/**
 * Retries a delivery, probes its target immediately if its circuit is open, and reports the result.
 *
 * @param anyway - also outside the schedule of its target and rules, until the delivery ends
 * @throws OperationError as `retryDelivery`
 */
export async function tryNow(
  context: PipelineContext,
  deliveryId: string,
  actor: Actor,
  { anyway = false }: { readonly anyway?: boolean } = {},
): Promise<Did> {
  const { target } = await findDelivery(context, deliveryId);
  const before = await context.circuits.state(target);
  await retryDelivery(context, deliveryId, actor, { anyway });
  const record = await findDelivery(context, deliveryId);
  const explained = await explainWaiting(context, record);
  if (explained.reason === 'held') return { did: `It can start after its release. ${explained.text}` };
  const opensAt = anyway ? undefined : await opensLater(context, record);
  if (opensAt !== undefined) {
    const now = await redisNow(context.redis, context.config().redis.prefix);
    return { did: `It waits for its schedule, which opens in ${formatDuration(opensAt - now)}.`, opensAt };
  }
  if (explained.reason === 'circuit-open') return { did: await probe(context, record, before) };
  // A problem of the target as a whole also affects this delivery.
  const isKept = ['target-unknown', 'target-off', 'target-moved', 'paused', 'no-dispatcher'].includes(explained.reason);
  if (isKept) return { did: `It is queued. ${explained.text}` };
  return { did: await untilStarted(context, record) };
}

/** When the schedules of its target and rules allow the delivery to be sent (ms since 1970); undefined: now. */
async function opensLater(
  { redis, config }: PipelineContext,
  { target, schedules }: DeliveryRecord,
): Promise<number | undefined> {
  const now = await redisNow(redis, config().redis.prefix);
  const own = config().targets[target]?.schedule;
  const opensAt = nextStartAt([...(own ? [[own]] : []), ...(schedules ? [schedules] : [])], now);
  return opensAt !== undefined && opensAt > now ? opensAt : undefined;
}

async function probe(context: PipelineContext, { deliveryId, target }: DeliveryRecord, before: CircuitState) {
  const { circuits } = context;
  if (!(await circuits.probeNow(target))) return untilStarted(context, await findDelivery(context, deliveryId));
  for (const until = performance.now() + probeWithinMs; performance.now() < until;) {
    const { state, failures, openedAt, error } = await circuits.state(target);
    if (state === 'closed') return `${target} probed now: it can be used again.`;
    if (failures !== before.failures || openedAt !== before.openedAt) {
      return `${target} probed now: ${error?.message ?? 'it cannot be used'}. ${error?.remedy ?? ''}`.trim();
    }
    await sleep(lookMs);
  }
  const record = await findDelivery(context, deliveryId);
  return `A probe of ${target} is due now, and has no result yet. ${(await explainWaiting(context, record)).text}`;
}

async function untilStarted(context: PipelineContext, before: DeliveryRecord): Promise<string> {
  let record = before;
  for (const until = performance.now() + startWithinMs; performance.now() < until;) {
    record = await findDelivery(context, before.deliveryId);
    if (record.state === 'active' || endStates.includes(record.state)) break;
    await sleep(lookMs);
  }
  return (await explainWaiting(context, record)).text;
}
