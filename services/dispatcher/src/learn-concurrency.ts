import type { DispatchError } from '@dicom-dispatch/core';
import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Attempt } from './delivery-job-run.ts';

/**
 * A receiver at its limit rejects a further association while others of ours are open: the concurrency is reduced to the
 * number that it accepts. The limit is kept until the configuration changes or a day has passed.
 *
 * @returns false if the error is not one of connecting, or none of ours is open there: other clients use the available ones
 */
export async function learnConcurrency(attempt: Attempt, error: DispatchError): Promise<boolean> {
  const { context, data, log } = attempt;
  if (error.stage !== 'connect') return false;
  const others = (await context.records.counts(data.target)).active - 1;
  if (others < 1) return false;
  const queue = context.queues.target(data.target);
  const before = (await queue.getGlobalConcurrency()) ?? Number.POSITIVE_INFINITY;
  if (before <= others) return true;
  await queue.setGlobalConcurrency(others);
  const learnt = { concurrency: others, at: Date.now(), reason: error.message };
  await context.redis.hset(redisKeys(context.config.redis.prefix).learnt, data.target, JSON.stringify(learnt));
  log.warn({ concurrency: others, reason: error.message }, 'target accepts fewer parallel deliveries; limit lowered');
  return true;
}
