import type { Circuits } from '@dicom-dispatch/state/circuit';
import { isOpen, nextWindowAt, type Config, type GroupStrategy } from '@dicom-dispatch/core';
import { TargetPlaces } from '@dicom-dispatch/state/target-places';
import type { Records } from '@dicom-dispatch/state/records';
import { redisNow } from '@dicom-dispatch/state/redis';
import type { Redis } from '@dicom-dispatch/runtime';
import { operationKeys } from './keys.ts';
import type { OpenQueues } from './queues/open-queues.ts';

/** Dependencies for checking the state of the members of a group. */
export interface GroupContext {
  readonly config: Config;
  readonly redis: Redis;
  readonly circuits: Circuits;
  readonly queues: OpenQueues;
}

export interface GroupOfStudy {
  readonly name: string;
  readonly strategy: GroupStrategy;
  readonly members: readonly string[];
}

export interface StudyOfGroup {
  readonly source: string;
  readonly orthancStudyId: string;
  readonly contentHash: string;
  readonly transform: string | undefined;
}

/** The member that a group has chosen for a study. */
export interface Choice {
  readonly target: string;
  /** Nonce of the delivery that a member received after another member had it in between. */
  readonly nonce?: string;
  readonly contentHash: string;
}

const keepSeconds = 180 * 86_400;

/**
 * Selects the member of a group that receives a study. A study stays with its member: late instances are sent to it too,
 * and a repeated event does not select again.
 */
export async function chooseMember(
  context: GroupContext & { readonly records: Pick<Records, 'deliveriesOf'> },
  group: GroupOfStudy,
  study: StudyOfGroup,
): Promise<Choice> {
  const { key, field } = placeOf(context, group.name, study);
  const known =
    (await readChoice(context, group.name, study)) ?? (await choiceOfDeliveries(context, group.name, study));
  if (known && group.members.includes(known.target) && context.config.targets[known.target]) return known;
  const choice: Choice = { target: await choose(context, group), contentHash: study.contentHash };
  if (known) {
    await writeChoice(context, group.name, study, choice);
    return choice;
  }
  await context.redis.multi().hsetnx(key, field, JSON.stringify(choice)).expire(key, keepSeconds).exec();
  return (await readChoice(context, group.name, study)) ?? choice;
}

export async function readChoice(
  context: Pick<GroupContext, 'redis' | 'config'>,
  group: string,
  study: StudyOfGroup,
): Promise<Choice | undefined> {
  const { key, field } = placeOf(context, group, study);
  const text = await context.redis.hget(key, field);
  return text === null ? undefined : (JSON.parse(text) as Choice);
}

export async function writeChoice(
  context: Pick<GroupContext, 'redis' | 'config'>,
  group: string,
  study: StudyOfGroup,
  choice: Choice,
): Promise<void> {
  const { key, field } = placeOf(context, group, study);
  await context.redis.multi().hset(key, field, JSON.stringify(choice)).expire(key, keepSeconds).exec();
}

/**
 * Whether a target can accept work now: enabled, not paused, inside its schedule, circuit closed, and no unconfirmed change
 * of its address.
 *
 * @param wanted - `probe` also accepts a target whose circuit is due for a probe
 */
export async function isUsable(context: GroupContext, target: string, wanted: 'closed' | 'probe'): Promise<boolean> {
  const config = context.config.targets[target];
  if (config?.enabled !== true) return false;
  const { prefix } = context.config.redis;
  const [circuit, isPaused, now, place] = await Promise.all([
    context.circuits.state(target),
    context.queues.target(target).isPaused(),
    redisNow(context.redis, prefix),
    new TargetPlaces(context.redis, prefix).look(target, config),
  ]);
  if (isPaused || place.kind === 'undecided' || (config.schedule && !isOpen(config.schedule, now))) return false;
  if (circuit.state === 'closed') return true;
  return wanted === 'probe' && circuit.state === 'open' && circuit.retryInMs === 0;
}

/** Derives the choice from the deliveries of the study: the stored choice expires and may be lost. */
async function choiceOfDeliveries(
  { records }: { readonly records: Pick<Records, 'deliveriesOf'> },
  name: string,
  study: StudyOfGroup,
): Promise<Choice | undefined> {
  const last = (await records.deliveriesOf(study)).find(
    ({ state, group, transform }) =>
      state !== 'moved' &&
      group?.name === name &&
      (group.keepsTransform ? transform?.name : undefined) === study.transform,
  );
  if (!last) return undefined;
  const { target, nonce, contentHash } = last;
  return { target, contentHash, ...(nonce !== undefined && { nonce }) };
}

async function choose(context: GroupContext, { name, strategy, members }: GroupOfStudy): Promise<string> {
  const present = members.filter((member) => context.config.targets[member] !== undefined);
  const order = strategy === 'first-available' ? present : await roundRobin(context, name, present);
  const [first] = order;
  if (first === undefined) return members[0] ?? name;
  // A member whose circuit is due for a probe counts as usable: this study probes it, and moves to another member if it
  // fails.
  const flags = await Promise.all(order.map((member) => isUsable(context, member, 'probe')));
  const usable = order.filter((_, index) => flags[index]);
  if (strategy === 'least-busy') return (await leastBusy(context, usable.length > 0 ? usable : order)) ?? first;
  return usable[0] ?? (await opensFirst(context, order)) ?? first;
}

/** If no member can be used now, the one whose schedule opens first; the first member if none has a schedule. */
async function opensFirst({ config, redis }: GroupContext, members: readonly string[]): Promise<string | undefined> {
  const now = await redisNow(redis, config.redis.prefix);
  const enabled = members.filter((member) => config.targets[member]?.enabled);
  return enabled
    .map((member) => ({ member, at: nextWindowAt(config.targets[member]?.schedule, now) }))
    .toSorted((one, other) => one.at - other.at)[0]?.member;
}

/** The members, beginning with the next one in the round-robin order. */
async function roundRobin(context: GroupContext, name: string, members: readonly string[]): Promise<readonly string[]> {
  if (members.length < 2) return members;
  const choice = await context.redis.incr(operationKeys(context.config.redis.prefix).roundRobin(name));
  const start = (choice - 1) % members.length;
  return [...members.slice(start), ...members.slice(0, start)];
}

async function leastBusy(context: GroupContext, members: readonly string[]): Promise<string | undefined> {
  const loads = await Promise.all(
    members.map(async (member) => {
      const counts = await context.queues.target(member).getJobCounts('waiting', 'prioritized', 'active', 'delayed');
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    }),
  );
  return members[loads.indexOf(Math.min(...loads))];
}

function placeOf(
  { config }: Pick<GroupContext, 'config'>,
  group: string,
  study: StudyOfGroup,
): { key: string; field: string } {
  const key = operationKeys(config.redis.prefix).choices(study.source, study.orthancStudyId);
  return { key, field: study.transform === undefined ? group : `${group} ${study.transform}` };
}
