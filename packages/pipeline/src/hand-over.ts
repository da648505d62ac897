import type { Records } from '@dicom-dispatch/state/records';
import { deliveryId, type DeliveryData } from '@dicom-dispatch/core';
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

export interface HandOverContext extends GroupContext {
  readonly records: Records;
}

/**
 * Moves a delivery whose target cannot be used to another target of its group. The new target receives everything that it
 * lacks:
 * for a partly sent study the complete study, because a study is not divided between targets. Instances that the first
 * target has
 * confirmed stay there, and are not sent to it again if the study returns to it.
 *
 * Repeating it after a crash has the same result. The caller ends the former delivery.
 *
 * @param why - the error, for the timeline
 * @param exhausted - the former target has used up its attempts: it does not get this delivery back
 * @returns the new target; undefined if no other target can be used
 */
export async function handOver(
  context: HandOverContext,
  data: DeliveryData,
  why: string,
  exhausted = false,
): Promise<string | undefined> {
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
  // A held delivery is not moved: its release also applies to the other target.
  const { hold: _, ...released } = data;
  const next = await newDelivery(context, released, target, { keepsTransform: group.keepsTransform, tried });
  const choice: Choice = {
    target,
    contentHash: data.contentHash,
    ...(next.nonce !== undefined && { nonce: next.nonce }),
  };
  if (!began) await writeChoice(context, group.name, place, choice);
  const study = await context.records.study(data);
  if (study) await context.records.routed({ ...study, targets: [...new Set([...study.targets, target])] }, [next]);
  await addJob(context, next);
  await context.records.update(
    next.deliveryId,
    {},
    { kind: 'moved', text: `taken over from ${data.target}, which could not be used: ${why}` },
  );
  return target;
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
  // A target that had it before gets another delivery: its former one has ended.
  let nonce = data.nonce;
  for (let tries = 1; (await records.delivery(idWith(nonce)))?.state === 'moved'; tries += 1) {
    nonce = `${data.nonce ?? ''}~${tries}`;
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
