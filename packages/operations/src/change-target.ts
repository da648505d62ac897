import {
  OperationError,
  setConcurrency,
  setRate,
  wakeDelivery,
  type Actor,
  type PipelineContext,
} from '@dicom-dispatch/pipeline';
import { redisNow } from '@dicom-dispatch/state/redis';

/** Who paused a target, and when (ms since 1970 by Redis TIME). */
export interface Pause {
  readonly by: string;
  readonly at: number;
}

/** Starts no further delivery of the target; running ones continue. */
export async function pauseTarget(context: PipelineContext, target: string, actor: Actor): Promise<void> {
  const queue = context.queues.known(context.config(), target);
  const at = await redisNow(context.redis, context.config().redis.prefix);
  // The first user who paused it is recorded.
  if (!(await queue.isPaused())) {
    await context.redis.hset(context.keys.paused, target, JSON.stringify({ by: actor.name, at } satisfies Pause));
  }
  await queue.pause();
}

export async function resumeTarget(context: PipelineContext, target: string): Promise<void> {
  const queue = context.queues.known(context.config(), target);
  // First the record: reconciliation pauses the queue of a target that has one.
  await context.redis.hdel(context.keys.paused, target);
  await queue.resume();
}

/** Undefined for a target that is not paused, or was paused by an earlier version. */
export async function readPause({ redis, keys }: PipelineContext, target: string): Promise<Pause | undefined> {
  const text = await redis.hget(keys.paused, target);
  return text === null ? undefined : (JSON.parse(text) as Pause);
}

/**
 * Changes the number of parallel deliveries of a target, over all dispatchers: immediately, until the configuration is
 * reloaded.
 *
 * @param concurrency - 1 to 256
 * @throws OperationError `not-found`, `invalid`
 */
export async function setTargetConcurrency(
  context: PipelineContext,
  target: string,
  concurrency: number,
): Promise<void> {
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 256) {
    throw new OperationError('invalid', `concurrency is a whole number from 1 to 256, not ${concurrency}`);
  }
  context.queues.known(context.config(), target);
  await setConcurrency(context, target, concurrency);
}

/**
 * Changes how many deliveries of a target start per minute, over all dispatchers: immediately, until the configuration is
 * reloaded.
 *
 * @param deliveriesPerMinute - at least 1; undefined: no limit
 * @throws OperationError `not-found`, `invalid`
 */
export async function setTargetRate(
  context: PipelineContext,
  target: string,
  deliveriesPerMinute: number | undefined,
): Promise<void> {
  if (deliveriesPerMinute !== undefined && (!Number.isInteger(deliveriesPerMinute) || deliveriesPerMinute < 1)) {
    throw new OperationError('invalid', `a rate is a whole number of at least 1, not ${deliveriesPerMinute}`);
  }
  context.queues.known(context.config(), target);
  await setRate(context, target, deliveriesPerMinute);
}

/** Starts the deliveries that wait for their next attempt, at most 10 000, except held ones. @returns their number */
export async function promoteTarget(context: PipelineContext, target: string): Promise<number> {
  const queue = context.queues.known(context.config(), target);
  const held = new Set(await context.redis.smembers(context.keys.held));
  let promoted = 0;
  for (const job of await queue.getDelayed(0, 9_999)) {
    if (job.id === undefined || held.has(job.id)) continue;
    if (await wakeDelivery({ ...context, config: context.config() }, job.id)) promoted += 1;
  }
  return promoted;
}
