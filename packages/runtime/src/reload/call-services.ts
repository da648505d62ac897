import { setTimeout as sleep } from 'node:timers/promises';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { redisNow, withDeadline } from '@dicom-dispatch/state/redis';
import type { Cluster } from 'ioredis';
import type { Redis } from '../redis/connect-redis.ts';
import { reloadAnswer, reloadKeys, type ReloadAnswer, type ReloadCall } from './reload-messages.ts';

const pollMs = 50;
/**
 * Minimum wait if the members of a Redis Cluster do not count the listeners: for processes that have no heartbeat yet.
 */
const clusterMs = 1_000;
/** A process without a heartbeat for this time has ended. */
const beatMs = 20_000;
/** How long the members of a Redis Cluster may take to count the listeners. */
const defaultCountMs = 2_000;

export interface ServiceAnswers {
  readonly answers: readonly ReloadAnswer[];
  /** Processes that were called and did not respond in time. */
  readonly missing: number;
}

/**
 * Calls all processes over Redis and waits for their responses.
 *
 * @param withinMs - longest wait
 * @param countWithinMs - how long the members of a Redis Cluster may take to count the listeners
 */
export async function callServices(
  redis: Redis,
  prefix: string,
  call: ReloadCall,
  withinMs: number,
  countWithinMs: number = defaultCountMs,
): Promise<ServiceAnswers> {
  const keys = reloadKeys(prefix);
  let called = await redis.publish(keys.channel, JSON.stringify(call));
  const until = Date.now() + withinMs;
  // A member of a Cluster counts only its own subscribers.
  const listening = redis.isCluster ? await countListeners(redis, keys.channel, countWithinMs) : called;
  if (listening !== undefined) called = Math.max(called, listening);
  const isUncounted = listening === undefined;
  const soonest = isUncounted ? Date.now() + clusterMs : 0;
  const now = isUncounted ? await redisNow(redis, prefix) : 0;
  for (;;) {
    const texts = Object.values(await redis.hgetall(keys.answers(call)));
    // A process that is suspended meanwhile loses its heartbeat, and is still counted as missing.
    if (isUncounted) called = Math.max(called, (await readProcesses(redis, prefix, now)).length);
    if ((texts.length >= called && Date.now() >= soonest) || Date.now() >= until) {
      const answers = texts.map((text) => reloadAnswer.parse(JSON.parse(text)));
      answers.sort((a, b) => a.process.localeCompare(b.process));
      return { answers, missing: Math.max(0, called - texts.length) };
    }
    await sleep(pollMs);
  }
}

/** How many connections listen to a channel, on all members of a Redis Cluster; undefined if one does not respond. */
async function countListeners(redis: Redis, channel: string, countWithinMs: number): Promise<number | undefined> {
  const members = (redis as unknown as Cluster).nodes('all');
  try {
    const counting = members.map((member) => member.pubsub('NUMSUB', channel));
    const answers = await withDeadline(Promise.all(counting), countWithinMs);
    return answers.reduce((sum, [, count]) => sum + Number(count), 0);
  } catch {
    return undefined;
  }
}

/**
 * What the processes with a heartbeat have written of themselves, as JSON. If the members of a Redis Cluster do not count
 * their subscribers, these processes are waited for.
 *
 * @param now - by Redis TIME, like the heartbeats (ms since 1970)
 */
export async function readProcesses(redis: Redis, prefix: string, now: number): Promise<string[]> {
  const keys = redisKeys(prefix);
  const ids = await redis.zrangebyscore(keys.processes, now - beatMs, '+inf');
  const texts = ids.length > 0 ? await redis.mget(ids.map((id) => keys.process(id))) : [];
  return texts.filter((text) => text !== null);
}

/** Makes all processes discard what they have checked under this id. */
export async function forgetCall(redis: Redis, prefix: string, id: string): Promise<void> {
  await redis.publish(reloadKeys(prefix).channel, JSON.stringify({ id, step: 'forget' } satisfies ReloadCall));
}

/** Makes all processes apply what they have checked under this id; one that missed the message reads its file again. */
export async function applyCall(redis: Redis, prefix: string, id: string, withinMs: number): Promise<ServiceAnswers> {
  await redis.incr(reloadKeys(prefix).count);
  return callServices(redis, prefix, { id, step: 'apply' }, withinMs);
}
