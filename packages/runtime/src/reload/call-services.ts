import { setTimeout as sleep } from 'node:timers/promises';
import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Redis } from '../redis/connect-redis.ts';
import { reloadAnswer, reloadKeys, type ReloadAnswer, type ReloadCall } from './reload-messages.ts';

const pollMs = 50;
/** On a Redis Cluster the shortest wait, for processes that have no heartbeat yet. */
const clusterMs = 1_000;
/** A process without a heartbeat for this time has ended. */
export const beatMs = 20_000;

export interface ServiceAnswers {
  readonly answers: readonly ReloadAnswer[];
  /** Processes that were called and did not answer in time. */
  readonly missing: number;
}

/**
 * Calls all processes over Redis and waits for their answers.
 *
 * @param withinMs - longest wait
 */
export async function callServices(
  redis: Redis,
  prefix: string,
  call: ReloadCall,
  withinMs: number,
): Promise<ServiceAnswers> {
  const keys = reloadKeys(prefix);
  const published = await redis.publish(keys.channel, JSON.stringify(call));
  const until = Date.now() + withinMs;
  const soonest = redis.isCluster ? Date.now() + clusterMs : 0;
  for (;;) {
    const texts = Object.values(await redis.hgetall(keys.answers(call)));
    const called = redis.isCluster ? Math.max(published, await countProcesses(redis, prefix)) : published;
    if ((texts.length >= called && Date.now() >= soonest) || Date.now() >= until) {
      const answers = texts.map((text) => reloadAnswer.parse(JSON.parse(text)));
      answers.sort((a, b) => a.process.localeCompare(b.process));
      return { answers, missing: Math.max(0, called - texts.length) };
    }
    await sleep(pollMs);
  }
}

/** A member of a Redis Cluster counts only its own subscribers: there the processes with a heartbeat are waited for. */
function countProcesses(redis: Redis, prefix: string): Promise<number> {
  return redis.zcount(redisKeys(prefix).processes, Date.now() - beatMs, '+inf');
}

/** No process applies what it has checked under this id. */
export async function forgetCall(redis: Redis, prefix: string, id: string): Promise<void> {
  await redis.publish(reloadKeys(prefix).channel, JSON.stringify({ id, step: 'forget' } satisfies ReloadCall));
}

/** Every process applies what it has checked under this id; one that missed the message reads its file again. */
export async function applyCall(redis: Redis, prefix: string, id: string, withinMs: number): Promise<ServiceAnswers> {
  await redis.incr(reloadKeys(prefix).count);
  return callServices(redis, prefix, { id, step: 'apply' }, withinMs);
}
