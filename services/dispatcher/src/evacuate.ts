import { handOver } from '@dicom-dispatch/pipeline';
import { deliveryData } from '@dicom-dispatch/core';
import type { Job } from 'bullmq';
import type { DispatcherContext } from './dispatcher-context.ts';

const pageSize = 200;

/**
 * Moves the waiting deliveries of an unusable target to the other targets of their groups. A delivery that a worker takes
 * meanwhile is moved by that worker.
 */
export async function evacuate(context: DispatcherContext, target: string, why: string): Promise<number> {
  const queue = context.queues.target(target);
  let moved = 0;
  for (let start = 0; ;) {
    const page = (await queue.getJobs(['waiting', 'prioritized', 'delayed'], start, start + pageSize - 1, true)).filter(
      (job): job is Job => job !== undefined && job !== null,
    );
    let gone = 0;
    for (const job of page) if (await moveOne(context, job, why)) gone += 1;
    moved += gone;
    if (page.length < pageSize) break;
    start += page.length - gone;
  }
  if (moved > 0) context.log.warn({ target, moved }, 'waiting deliveries were moved to other targets of their groups');
  return moved;
}

async function moveOne(context: DispatcherContext, job: Job, why: string): Promise<boolean> {
  const parsed = deliveryData.safeParse(job.data);
  if (!parsed.success || !parsed.data.group || parsed.data.group.strategy === 'all') return false;
  const looked = await context.records.look(parsed.data.deliveryId);
  if (looked?.record.state !== 'waiting' || looked.isHeld || looked.isCancelled) return false;
  // The job of a study that was being received has the data of that time.
  const data = parsed.data.arriving === undefined ? parsed.data : deliveryData.parse(looked.record);
  const handed = await handOver(context, data, { why, onlyWaiting: true });
  if (!handed?.hasLeft) return false;
  // A worker that has just taken its job finds that the delivery has ended.
  await job.remove().catch(() => {});
  return true;
}
