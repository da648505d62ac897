import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Priority } from '@dicom-dispatch/core';
import { priorities } from '@dicom-dispatch/core';
import { firstJobPriority, jobPriority, type Redis } from '@dicom-dispatch/runtime';
import type { Queue } from 'bullmq';

/** Of this number of starts of deliveries to a target, one promotes the less urgent delivery that has waited longest. */
const promoteEvery = 8;
/** Behind `stat`, before `urgent`. */
const promotedPriority = jobPriority('stat') + 5;

/**
 * Prevents less urgent deliveries from waiting forever behind more urgent ones: at every eighth start of a delivery, the
 * one of the less urgent that has waited longest is moved forward, behind `stat` only. BullMQ alone would starve them.
 */
export async function promoteLongestWaiting(
  redis: Redis,
  prefix: string,
  queue: Queue,
  target: string,
  priority: Priority,
): Promise<void> {
  const count = await redis.hincrby(redisKeys(prefix).starts, target, 1);
  if (count % promoteEvery !== 0) return;
  const classes = [firstJobPriority, ...priorities.map((one) => jobPriority(one))];
  const counts = await queue.getCountsPerPriority([...classes, promotedPriority]);
  if ((counts[promotedPriority] ?? 0) > 0) return;
  const heads = await Promise.all(
    classes
      .filter((one) => one > jobPriority(priority) && (counts[one] ?? 0) > 0)
      .map(async (one) => {
        const before = classes.filter((other) => other < one).reduce((sum, other) => sum + (counts[other] ?? 0), 0);
        return (await queue.getPrioritized(before, before))[0];
      }),
  );
  const [longest] = heads.flatMap((job) => job ?? []).sort((one, other) => one.timestamp - other.timestamp);
  // A worker may have taken it meanwhile: then this changes nothing.
  await longest?.changePriority({ priority: promotedPriority });
}
