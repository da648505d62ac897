import { randomBytes } from 'node:crypto';
import type { Redis } from '../redis/connect-redis.ts';
import { applyCall, callServices, forgetCall } from './call-services.ts';
import type { ReloadAnswer } from './reload-messages.ts';

export interface ReloadResult {
  /**
   * - `applied`: every process that responds uses its file now
   * - `refused`: at least one cannot, and none has changed anything
   * - `partial`: all could, but not all have applied it; their responses contain the reason
   * - `silent`: none has responded
   */
  readonly outcome: 'applied' | 'refused' | 'partial' | 'silent';
  /** Processes that were called and did not respond in time. */
  readonly missing: number;
  readonly answers: readonly ReloadAnswer[];
}

/**
 * Makes all services load their configuration again: all check it first, and it is applied only if it is valid for all.
 *
 * @param withinMs - longest wait for the responses of one step
 */
export async function reloadEverywhere(redis: Redis, prefix: string, withinMs = 15_000): Promise<ReloadResult> {
  const id = randomBytes(8).toString('hex');
  const checked = await callServices(redis, prefix, { id, step: 'check' }, withinMs);
  if (checked.answers.length === 0) return { outcome: 'silent', ...checked };
  if (checked.missing > 0 || checked.answers.some(({ outcome }) => outcome === 'refused')) {
    await forgetCall(redis, prefix, id);
    return { outcome: 'refused', ...checked };
  }
  const applied = await applyCall(redis, prefix, id, withinMs);
  const isWhole = applied.missing === 0 && applied.answers.every(({ outcome }) => outcome !== 'refused');
  return { outcome: isWhole ? 'applied' : 'partial', ...applied };
}
