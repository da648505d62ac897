import { nextStartAt, type Config } from '@dicom-dispatch/core';
import { redisKeys } from '@dicom-dispatch/state/keys';
import {
  act,
  endStates,
  fromNow,
  isDamaged,
  readable,
  type DeliveryRecord,
  type LookedAt,
} from '@dicom-dispatch/state/records';
import { endWaitingJob, jobPlaces, type JobPlace } from '../queues/index.ts';
import { finishReplacing } from '../hand-over.ts';
import { callDelivery, wakeDelivery } from '../wake-delivery.ts';
import { restoreRecords, unreadable } from './mend-records.ts';
import type { Findings, ReconcileContext } from './reconcile-context.ts';

const atOnce = 500;
/** When a consistent delivery is checked again. */
const again = { active: 60_000, waiting: 600_000, held: 3_600_000 } as const;

/**
 * Checks due open deliveries, the longest overdue first, and ensures that each has something that continues it.
 *
 * @param limit - maximum number of deliveries: the rest waits for the next pass
 */
export async function reconcileDeliveries(context: ReconcileContext, findings: Findings, limit: number): Promise<void> {
  const { records } = context;
  if (await records.rebuildOpenIndex()) findings.repaired('index-rebuilt');
  for (let left = limit; left > 0; left -= atOnce) {
    const ids = await records.toBeLookedAt(Math.min(atOnce, left));
    if (ids.length === 0) return;
    const found = await records.lookAll(ids);
    const looked = readable(found);
    const places = await placesOf(context, looked);
    const lost = ids.filter((_, index) => !found[index]);
    const restored = await restoreRecords(context, findings, lost);
    const counted = await countedAsOpen(
      context,
      lost.filter((id) => !restored.has(id)),
    );
    for (const [index, id] of ids.entries()) {
      const one = looked[index];
      findings.checked += 1;
      try {
        if (restored.has(id)) continue;
        if (isDamaged(found[index])) throw found[index];
        const lookInMs = one && (await reconcileOne(context, findings, one, places.get(id)));
        // Without a record it stays while the index of its state contains it: the two are compared.
        await records.lookAgain(id, counted.has(id) ? again.waiting : lookInMs);
      } catch (error) {
        findings.problem(unreadable(id, error));
        // It must not block the others permanently.
        await records.lookAgain(id, again.active).catch(() => {});
      }
    }
    if (ids.length < atOnce) return;
  }
}

/** Those of the ids that are in the index of an open state. */
async function countedAsOpen(
  { redis, config }: ReconcileContext,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set();
  const { index } = redisKeys(config().redis.prefix);
  const scores = await Promise.all(
    ['waiting', 'active'].map((state) => redis.zmscore(index(`state:${state}`), ...ids)),
  );
  return new Set(ids.filter((_, at) => scores.some((one) => one[at] !== null)));
}

/** States of the jobs of deliveries, queue by queue. */
async function placesOf(
  { redis, queues }: ReconcileContext,
  looked: readonly (LookedAt | undefined)[],
): Promise<Map<string, JobPlace>> {
  const places = new Map<string, JobPlace>();
  const byTarget = Map.groupBy(
    looked.flatMap((one) => (one ? [one.record] : [])),
    ({ target }) => target,
  );
  for (const [target, records] of byTarget) {
    const ids = records.map(({ deliveryId }) => deliveryId);
    const found = await jobPlaces(redis, queues.target(target), ids);
    for (const [index, id] of ids.entries()) places.set(id, found[index] ?? { state: 'missing' });
  }
  return places;
}

/** @returns when to check again, in milliseconds from now; undefined if it is not open */
async function reconcileOne(
  context: ReconcileContext,
  findings: Findings,
  { record, isHeld, isCancelled, now }: LookedAt,
  place: JobPlace | undefined,
): Promise<number | undefined> {
  const { config, records, queues, redis } = context;
  const { deliveryId, target } = record;
  if (endStates.includes(record.state)) return undefined;
  if (record.state === 'active') {
    const changed = await records.change(deliveryId, {
      ...act('lose'),
      patch: { state: 'waiting', wake: 'job', worker: null, nextAttemptAt: null },
      event: { kind: 'waiting', text: `the dispatcher ${record.worker ?? ''} is gone` },
    });
    if (changed.kind === 'refused') return again.active;
    findings.repaired('dispatcher-gone');
    const waiting = await records.delivery(deliveryId);
    if (waiting) await callDelivery({ ...context, config: config() }, waiting, changed.now);
    return again.active;
  }
  if (isCancelled) {
    const changed = await records.change(deliveryId, {
      ...act('cancel'),
      patch: { state: 'cancelled', endedAt: fromNow() },
      event: { kind: 'ended', text: 'cancelled by an operator' },
    });
    if (changed.kind === 'refused') return again.active;
    findings.repaired('cancel-finished');
    await endWaitingJob(queues.target(target), redis, deliveryId, 'cancelled by an operator');
    return undefined;
  }
  // It continues when it is released.
  if (isHeld) return again.held;
  if (record.replaces !== undefined) {
    if (await finishReplacing({ ...context, config: config() }, record)) findings.repaired('job-added');
    return again.active;
  }
  if (config().targets[target] === undefined) {
    findings.problem({
      kind: 'target-unknown',
      subject: target,
      text: `Deliveries wait for the target ${target}, which is not in the configuration: move them to another target, or drop them.`,
    });
  }
  if (record.wake === 'schedule' && (record.nextAttemptAt ?? 0) > now && opensNow(config(), record, now)) {
    // The schedule of its target was changed.
    if (await wakeDelivery({ ...context, config: config() }, deliveryId)) findings.repaired('job-advanced');
    return again.waiting;
  }
  const result = await callDelivery({ ...context, config: config() }, record, now, place);
  if (result === 'added') findings.repaired('job-added');
  else if (result === 'revived') findings.repaired('job-revived');
  else if (result === 'advanced') findings.repaired('job-advanced');
  const dueInMs = Math.max(0, (record.nextAttemptAt ?? 0) - now);
  return dueInMs > 0 ? Math.min(dueInMs + again.active, again.held) : again.waiting;
}

function opensNow({ targets }: Config, { target, schedules }: DeliveryRecord, now: number): boolean {
  const own = targets[target]?.schedule;
  return nextStartAt([...(own ? [[own]] : []), ...(schedules ? [schedules] : [])], now) === now;
}
