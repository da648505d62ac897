import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from '../redis/connect-redis.ts';
import { reloadAnswer, reloadKeys, type ReloadAnswer, type ReloadCall } from './reload-messages.ts';

export interface ReloadResult {
  /**
   * - `applied`: every process that answers goes by its file now
   * - `refused`: at least one cannot, and none has changed anything
   * - `partial`: all could, and yet not all have applied it; their answers say why
   * - `silent`: none has answered
   */
  readonly outcome: 'applied' | 'refused' | 'partial' | 'silent';
  /** Processes that were called and did not answer in time. */
  readonly missing: number;
  readonly answers: readonly ReloadAnswer[];
}

const pollMs = 50;
/** A member of a Redis Cluster counts only its own subscribers: answers of the others are waited for so long. */
const clusterMs = 1_000;

/**
 * Lets all services read their configuration again: all check first, and apply it only when all can.
 *
 * @param withinMs - longest wait for the answers of one step
 */
export async function reloadEverywhere(redis: Redis, prefix: string, withinMs = 15_000): Promise<ReloadResult> {
  const keys = reloadKeys(prefix);
  const id = randomBytes(8).toString('hex');
  const checked = await call({ id, step: 'check' });
  if (checked.answers.length === 0) return { outcome: 'silent', ...checked };
  if (checked.missing > 0 || checked.answers.some(({ outcome }) => outcome === 'refused')) {
    await redis.publish(keys.channel, JSON.stringify({ id, step: 'forget' } satisfies ReloadCall));
    return { outcome: 'refused', ...checked };
  }
  await redis.incr(keys.count);
  const applied = await call({ id, step: 'apply' });
  const isWhole = applied.missing === 0 && applied.answers.every(({ outcome }) => outcome !== 'refused');
  return { outcome: isWhole ? 'applied' : 'partial', ...applied };

  async function call(what: ReloadCall): Promise<{ answers: ReloadAnswer[]; missing: number }> {
    const called = await redis.publish(keys.channel, JSON.stringify(what));
    const until = Date.now() + withinMs;
    const soonest = redis.isCluster ? Date.now() + clusterMs : 0;
    for (;;) {
      const texts = Object.values(await redis.hgetall(keys.answers(what)));
      if ((texts.length >= called && Date.now() >= soonest) || Date.now() >= until) {
        const answers = texts.map((text) => reloadAnswer.parse(JSON.parse(text)));
        answers.sort((a, b) => a.process.localeCompare(b.process));
        return { answers, missing: Math.max(0, called - texts.length) };
      }
      await sleep(pollMs);
    }
  }
}
