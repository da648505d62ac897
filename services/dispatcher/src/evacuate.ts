import { handOver } from '@dicom-dispatch/pipeline';
import { deliveryData } from '@dicom-dispatch/core';
import type { Job } from 'bullmq';
import type { DispatcherContext } from './dispatcher-context.ts';

const pageSize = 200;

/**
 * Gives the waiting deliveries of a target that cannot be used to the other targets of their groups. What a worker takes
 * up meanwhile does so by itself.
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
  if (moved > 0) context.log.warn({ target, moved }, 'waiting deliveries were given to other targets of their groups');
  return moved;
}

async function moveOne(context: DispatcherContext, job: Job, why: string): Promise<boolean> {
  const parsed = deliveryData.safeParse(job.data);
  if (!parsed.success || !parsed.data.group || parsed.data.group.strategy === 'all') return false;
  const data = parsed.data;
  if ((await context.isHeld(data.deliveryId)) || (await context.isCancelled(data.deliveryId))) return false;
  const record = await context.records.delivery(data.deliveryId);
  if (record?.state !== 'waiting') return false;
  const to = await handOver(context, data, why);
  if (to === undefined) return false;
  try {
    await job.remove();
  } catch {
    // A worker has just taken it up: it sees that another target has the study, and ends it.
    return false;
  }
  await context.records.update(
    data.deliveryId,
    { state: 'moved', endedAt: Date.now(), nextAttemptAt: null },
    { kind: 'moved', text: `${to} has taken it over: ${why}` },
  );
  return true;
}
