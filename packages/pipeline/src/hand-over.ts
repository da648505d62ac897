import {
  act,
  endStates,
  fromNow,
  type Changed,
  type DeliveryChange,
  type DeliveryPatch,
  type DeliveryRecord,
  type Records,
} from '@dicom-dispatch/state/records';
import { deliveryData, deliveryId, type DeliveryData } from '@dicom-dispatch/core';
import {
  isUsable,
  readChoice,
  writeChoice,
  type Choice,
  type GroupContext,
  type StudyOfGroup,
} from './choose-member.ts';
import { deliveryJobOptions, isJobError, jobPlace } from './queues/index.ts';
import { operationKeys } from './keys.ts';
import { studyOf } from './study-of.ts';

export interface HandOverContext extends GroupContext {
  readonly records: Records;
}

export interface HandOverOptions {
  /** The error, for the timeline. */
  readonly why: string;
  /** The former target has used up its attempts: it does not get this delivery back. */
  readonly exhausted?: boolean;
  /** Moves the delivery only if it waits. Default false: a running attempt is abandoned, too. */
  readonly onlyWaiting?: boolean;
  readonly patch?: DeliveryPatch;
  /** The lock under which the former delivery is left. */
  readonly fence?: { readonly lockKey: string; readonly token: string };
}

/** The target that has a delivery now. */
export interface HandedOver {
  readonly target: string;
  /** False: an attempt has just begun at the former target, and ends by itself: both get the study. */
  readonly hasLeft: boolean;
}

/**
 * Moves a delivery whose target cannot be used to another target of its group. The new target receives everything that it
 * lacks: for a partly sent study the complete study, because a study is not divided between targets. Instances that the first
 * target has confirmed stay there, and are not sent to it again if the study returns to it.
 *
 * Repeated after a crash, it has the same result.
 *
 * @returns undefined when no other target can be used: nothing has changed
 */
export async function handOver(
  context: HandOverContext,
  data: DeliveryData,
  { why, exhausted = false, onlyWaiting = false, patch, fence }: HandOverOptions,
): Promise<HandedOver | undefined> {
  const { records } = context;
  const { group } = data;
  if (!group) return undefined;
  const place: StudyOfGroup = {
    source: data.source,
    orthancStudyId: data.orthancStudyId,
    contentHash: data.contentHash,
    transform: group.keepsTransform ? data.transform?.name : undefined,
  };
  const before = await readChoice(context, group.name, place);
  const began = before?.contentHash === data.contentHash && before.target !== data.target ? before : undefined;
  const tried = exhausted ? [...new Set([...group.tried, data.target])] : group.tried;
  const target = began?.target ?? (await otherMember(context, data, tried));
  if (target === undefined) return undefined;
  // A hold is transferred when the former delivery has ended (`keepIntent`).
  const { hold: _, ...released } = data;
  const next = await newDelivery(context, released, target, { keepsTransform: group.keepsTransform, tried });
  const choice: Choice = {
    target,
    contentHash: data.contentHash,
    ...(next.nonce !== undefined && { nonce: next.nonce }),
  };
  if (!began) await writeChoice(context, group.name, place, choice);
  const left = await replaceDelivery(context, data, next, {
    ...(onlyWaiting && { from: ['waiting'] }),
    ...(patch && { patch }),
    event: { kind: 'moved', text: `${target} has taken over the delivery: ${why}` },
    ...(fence && { fence }),
  });
  await records.update(
    next.deliveryId,
    {},
    { kind: 'moved', text: `taken over from ${data.target}, which could not be used: ${why}` },
  );
  return { target, hasLeft: left.kind === 'done' };
}

/**
 * Ends a delivery as moved, and begins the one that takes its place, also when the record of its study is missing. The new
 * one has no job before the former one has ended; its record names that one until then, for `finishReplacing`.
 *
 * @returns what became of the former: refused when it has ended meanwhile, or is in none of the states `from`
 */
export async function replaceDelivery(
  context: Pick<HandOverContext, 'config' | 'redis' | 'queues' | 'records'>,
  former: DeliveryData,
  next: DeliveryData,
  {
    keepsTarget = true,
    patch,
    ...change
  }: Pick<DeliveryChange, 'from' | 'event' | 'fence'> & {
    readonly patch?: DeliveryPatch;
    readonly keepsTarget?: boolean;
  },
): Promise<Changed> {
  const { records } = context;
  const study = await records.study(former);
  const before = study?.targets.filter((one) => keepsTarget || one !== former.target) ?? [];
  const targets = [...new Set([...before, next.target])];
  await records.routed(study ? { ...study, targets } : studyOf(former, targets), [
    { ...next, replaces: former.deliveryId },
  ]);
  const left = await records.change(former.deliveryId, {
    ...act('move'),
    ...change,
    patch: { ...patch, state: 'moved', endedAt: fromNow(), worker: null },
  });
  await keepIntent(context, former.deliveryId, next.deliveryId, left);
  await addJob(context, next);
  await records.update(next.deliveryId, { replaces: null });
  return left;
}

/**
 * Adds the job of a delivery that replaces another one, after a crash in `replaceDelivery`. It is held or cancelled if the
 * other one was.
 *
 * @returns false if the other one is open: it continues, or is moved again
 */
export async function finishReplacing(
  context: Pick<HandOverContext, 'config' | 'redis' | 'queues' | 'records'>,
  next: DeliveryRecord,
): Promise<boolean> {
  const { records } = context;
  const former = await records.look(next.replaces ?? '');
  if (former) {
    const { record, isCancelled } = former;
    if (!endStates.includes(record.state)) return false;
    await keepIntent(context, record.deliveryId, next.deliveryId, { state: record.state, isCancelled });
  }
  await addJob(context, deliveryData.parse(next));
  await records.update(next.deliveryId, { replaces: null });
  return true;
}

/** A hold or cancellation of the former delivery applies to the one that replaces it, also if it was requested just now. */
async function keepIntent(
  { records, redis, config }: Pick<HandOverContext, 'config' | 'redis' | 'records'>,
  formerId: string,
  nextId: string,
  left: Pick<Changed, 'state' | 'isCancelled'>,
): Promise<void> {
  const { isHeld = false } = (await records.look(formerId)) ?? {};
  const isCancelled = left.isCancelled || left.state === 'cancelled';
  if (isCancelled) {
    await records.change(nextId, {
      ...act('cancel'),
      patch: { state: 'cancelled', endedAt: fromNow(), replaces: null },
      event: { kind: 'ended', text: 'cancelled by an operator' },
    });
  } else if (isHeld && left.state !== undefined && endStates.includes(left.state)) {
    await records.change(nextId, {
      ...act('hold'),
      patch: { wake: 'person', nextAttemptAt: null, replaces: null },
      event: { kind: 'operator', text: 'it stays held' },
    });
    await redis.srem(operationKeys(config.redis.prefix).held, formerId);
  }
}

async function otherMember(
  context: HandOverContext,
  data: DeliveryData,
  tried: readonly string[],
): Promise<string | undefined> {
  const members = context.config.groups[data.group?.name ?? '']?.targets ?? data.group?.members ?? [];
  const others = members.filter((member) => member !== data.target && !tried.includes(member));
  const flags = await Promise.all(others.map((member) => isUsable(context, member, 'closed')));
  return others.find((_, index) => flags[index]);
}

/** The delivery of the same content to another target. */
export async function newDelivery(
  context: HandOverContext,
  data: DeliveryData,
  target: string,
  terms: { readonly keepsTransform: boolean; readonly tried?: readonly string[] },
): Promise<DeliveryData> {
  const { config, records } = context;
  const { transform: former, nonce: _, group, ...rest } = data;
  const name = terms.keepsTransform ? former?.name : config.targets[target]?.transform;
  const definition = terms.keepsTransform
    ? former?.definition
    : name === undefined
      ? undefined
      : config.transforms[name];
  const transform = name !== undefined && definition ? { name, definition } : undefined;
  const idWith = (nonce: string | undefined): DeliveryData['deliveryId'] =>
    deliveryId({
      ...rest,
      target,
      ...(transform && { transform: transform.name }),
      ...(nonce !== undefined && { nonce }),
    });
  // A target that had it before gets another delivery: its former one has ended. The nonce ends with the number of returns.
  let nonce = data.nonce;
  const [, given = '', count = 0] = /^(.*?)(?:~(\d+))?$/.exec(nonce ?? '') ?? [];
  for (let tries = Number(count) + 1; (await records.delivery(idWith(nonce)))?.state === 'moved'; tries += 1) {
    nonce = `${given}~${tries}`;
  }
  return {
    ...rest,
    target,
    deliveryId: idWith(nonce),
    ...(transform && { transform }),
    ...(nonce !== undefined && { nonce }),
    ...(group && { group: { ...group, tried: [...(terms.tried ?? [])] } }),
  };
}

/** Puts a delivery into the queue of its target, below the study task that waits for it. */
export async function addJob(
  context: Pick<HandOverContext, 'config' | 'redis' | 'queues'>,
  data: DeliveryData,
  delayMs = 0,
): Promise<void> {
  const { config, redis, queues } = context;
  const { prefix } = config.redis;
  await redis.sadd(operationKeys(prefix).targets, data.target);
  const tasks = queues.study();
  const { state } = await jobPlace(redis, tasks, data.studyTaskId);
  // Only one that still waits counts its children.
  const parent = state === 'waiting-children' ? { parent: { id: data.studyTaskId, queue: tasks.qualifiedName } } : {};
  const queue = queues.target(data.target);
  try {
    await queue.add('delivery', data, {
      ...deliveryJobOptions(data),
      ...parent,
      ...(delayMs > 0 && { delay: delayMs }),
    });
  } catch (error) {
    // The target already has the delivery, in another study task: its job is not moved.
    if (!isJobError(error) || (await jobPlace(redis, queue, data.deliveryId)).state === 'missing') throw error;
  }
}
