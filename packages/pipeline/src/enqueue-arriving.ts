import {
  arrivingHash,
  contentHash,
  deliveryData,
  studyTaskId,
  type DeliveryData,
  type PlannedDelivery,
  type StudyTaskData,
} from '@dicom-dispatch/core';
import type { DeliveryRecord, DeliveryState, Records, StudyRecord } from '@dicom-dispatch/state/records';
import { act, endStates, fromNow } from '@dicom-dispatch/state/records';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { DispatchError } from '@dicom-dispatch/core';
import type { StudySnapshot } from '@dicom-dispatch/sources';
import { addJob, finishReplacing, type HandOverContext } from './hand-over.ts';
import { endWaitingJob, jobPlace } from './queues/index.ts';
import { resolveDeliveries, type DeliveryTerms } from './resolve-deliveries.ts';
import { callDelivery, type WakeContext } from './wake-delivery.ts';

export interface ArrivingStudy {
  readonly source: string;
  readonly epoch: string;
  readonly snapshot: Pick<StudySnapshot, 'study' | 'manifest' | 'senders'> & {
    readonly instanceTags?: ReadonlyMap<string, Readonly<Record<string, string>>>;
  };
  readonly rules: readonly string[];
  readonly deliveries: readonly PlannedDelivery[];
}

/**
 * Begins the deliveries of a study that is still being received: one for each target, which becomes the delivery of the
 * complete study later. Repeating it changes nothing. Deliveries that start when the study is stable are left to
 * `StudyEnqueuer.enqueue`.
 *
 * @returns ids of the deliveries that send instances as they arrive
 */
export async function enqueueArriving(
  context: HandOverContext,
  { source, epoch, snapshot, rules, deliveries: planned }: ArrivingStudy,
): Promise<string[]> {
  const { study, manifest, senders, instanceTags } = snapshot;
  const { studyInstanceUid, orthancStudyId } = study;
  const key = { source, orthancStudyId };
  const known = await context.records.study(key);
  // It was routed as a complete study since it was read: a delivery of it that an operator has cancelled stays cancelled.
  if (known?.contentHash === contentHash(manifest)) return [];
  const hash = arrivingHash(known?.contentHash);
  const { deliveries: terms } = await resolveDeliveries(
    context,
    { source, study, manifest, contentHash: hash, nonce: undefined, senders, instanceTags, isArriving: true },
    planned,
  );
  if (terms.length === 0) return [];
  const modalities = study.facts.study['ModalitiesInStudy'];
  const shared = {
    source,
    epoch,
    studyInstanceUid,
    orthancStudyId,
    contentHash: hash,
    instanceCount: manifest.length,
    modalities: Array.isArray(modalities) ? [...modalities] : [],
    studyTaskId: studyTaskId({ source, orthancStudyId, contentHash: hash }),
    rules: [...rules],
    routedAt: Date.now(),
  };
  const deliveries = terms.map((one): DeliveryData => ({ ...shared, ...one, ...(known && { again: true }) }));
  // The content at the last routing is preserved: the sweep compares with it.
  const record: StudyRecord = known ?? {
    ...shared,
    contentHash: '',
    targets: terms.map(({ target }) => target),
    lastUpdate: undefined,
  };
  // Another router may have routed the complete study since it was read.
  await context.records.routed(record, deliveries, { keepsStudy: true });
  for (const delivery of deliveries) {
    const one = await context.records.delivery(delivery.deliveryId);
    if (!one || endStates.includes(one.state)) continue;
    if (one.replaces !== undefined) {
      await finishReplacing(context, one);
      continue;
    }
    const place = await jobPlace(context.redis, context.queues.target(one.target), one.deliveryId);
    if (place.state === 'missing') await addJob(context, deliveryData.parse(one));
  }
  return deliveries.map(({ deliveryId }) => deliveryId);
}

/**
 * A delivery that ended in one of these states during reception is not that of the complete study, which gets a separate one. One
 * that was cancelled is: the cancellation applies to the complete study.
 */
const endedEarly: ReadonlySet<DeliveryState> = new Set(['moved', 'failed', 'partial', 'resolved']);

/** The delivery of a study to a target that was begun before the study was complete. */
export function arrivingOf(
  known: readonly DeliveryRecord[],
  { target, transform }: Pick<DeliveryTerms, 'target' | 'transform'>,
): DeliveryRecord | undefined {
  return known.find(
    (one) =>
      one.arriving !== undefined &&
      !endedEarly.has(one.state) &&
      one.target === target &&
      one.transform?.name === transform?.name,
  );
}

/**
 * Cancels deliveries that were begun during reception, and to whose targets no rule sends the complete study in their form.
 *
 * @param whole - current content of the study: a retry sends it
 * @param totalOf - number of instances of the study that are selected for a delivery
 */
export async function endUnwanted(
  context: HandOverContext,
  unwanted: readonly DeliveryRecord[],
  whole: Pick<StudyTaskData, 'contentHash' | 'instanceCount' | 'modalities' | 'targets'>,
  totalOf: (delivery: Pick<DeliveryTerms, 'target' | 'selections'>) => number,
): Promise<void> {
  const { records, redis, queues } = context;
  // Only these: it does not belong to the study task, whose actions after success would wait for it.
  const { contentHash, instanceCount, modalities, targets } = whole;
  for (const one of unwanted) {
    const { arriving: _, ...data } = deliveryData.parse(one);
    const error = notWanted(one, targets);
    const message = withSent(error, one.confirmed);
    if (!(await records.whole({ ...data, contentHash, instanceCount, modalities }, totalOf(data)))) continue;
    if (endStates.includes(one.state)) continue;
    const patch = { error: error.toRecord(), failStage: error.stage };
    const event = { kind: 'ended', code: error.code, stage: error.stage, text: message } as const;
    const ended = await records.change(one.deliveryId, {
      ...act('cancel'),
      patch: {
        ...patch,
        error: { ...patch.error, message },
        state: 'cancelled',
        endedAt: fromNow(),
        worker: null,
      },
      event,
    });
    if (ended.kind === 'done') {
      await endWaitingJob(queues.target(one.target), redis, one.deliveryId, message);
    } else if (ended.why === 'alive' && !ended.isCancelled) {
      // The attempt may confirm more: when it ends, it adds their number.
      await records.change(one.deliveryId, { ...act('askToCancel'), patch });
      await redis.publish(redisKeys(context.config.redis.prefix).cancelChannel, one.deliveryId);
    }
  }
}

/**
 * Continues a delivery that was cancelled because no rule wanted it, and is wanted by one now. Confirmed instances are not sent
 * again. If its rule holds deliveries, it waits for a release, also if it was released before.
 */
export async function wantAgain(context: WakeContext, { deliveryId, hold }: DeliveryRecord): Promise<void> {
  const { from, guards, intent } = act('wantAgain');
  // First: it must not begin before it is held.
  if (hold) await context.records.change(deliveryId, { from, patch: {}, intent: 'hold' });
  const changed = await context.records.change(deliveryId, {
    from,
    guards,
    intent,
    patch: {
      state: 'waiting',
      wake: 'job',
      nextAttemptAt: null,
      endedAt: null,
      worker: null,
      retriedAt: fromNow(),
      failures: null,
      waits: null,
      losses: null,
      error: null,
      failStage: null,
    },
    event: { kind: 'waiting', text: 'a rule sends the study to this target again' },
  });
  if (changed.kind === 'refused') return;
  const record = await context.records.delivery(deliveryId);
  if (record) await callDelivery(context, record, changed.now);
}

/** Whether a delivery was cancelled because no rule sent the complete study to its target. */
export function isUnwanted({ state, error }: DeliveryRecord): boolean {
  return state === 'cancelled' && error?.code === 'not-wanted';
}

/** The text of an error `not-wanted` with the number of instances that were sent before it. */
export function withSent({ message }: Pick<DispatchError, 'message'>, confirmed: number): string {
  return `${message}; ${confirmed} instance${confirmed === 1 ? ' was' : 's were'} sent before`;
}

/** @param targets - of the complete study: a rule may send it there with another transform */
function notWanted({ target }: DeliveryRecord, targets: readonly string[]): DispatchError {
  if (!targets.includes(target)) {
    return new DispatchError('not-wanted', `no rule sends the whole study to ${target}`, { stage: 'resolve' });
  }
  return new DispatchError('not-wanted', `the whole study is sent to ${target} with another transform`, {
    stage: 'resolve',
    remedy: 'See the other delivery of the study to this target. Retry this one only if both are needed.',
  });
}

/** The open deliveries of a study that send instances as they arrive. */
export async function openArriving(
  records: Pick<Records, 'deliveriesOf'>,
  key: { readonly source: string; readonly orthancStudyId: string },
): Promise<DeliveryRecord[]> {
  const all = await records.deliveriesOf(key, 50);
  return all.filter(({ arriving, state }) => arriving !== undefined && !endStates.includes(state));
}
