import { cancelDelivery, retryDelivery } from '@dicom-dispatch/operations';
import { callDelivery, wakeDelivery, type PipelineContext } from '@dicom-dispatch/pipeline';
import { act, endStates, fromNow, type LookedAt } from '@dicom-dispatch/state/records';
import type { Job, Queue } from 'bullmq';
import { currentActor } from './acting.ts';
import { orRefused, Refused } from './refused.ts';

/** The job of a delivery, whose actions first change the record of the delivery. */
export function asDeliveryJob(job: Job, queue: Queue, context: PipelineContext): Job {
  const id = job.id ?? '';
  const removeJob = job.remove.bind(job);
  const pipelineContext = { ...context, config: context.config() };

  job.retry = async () => {
    await needRecord();
    await orRefused(() => retryDelivery(context, id, currentActor()));
  };
  job.promote = async () => {
    needNotHeld(await needRecord());
    if (!(await wakeDelivery(pipelineContext, id))) throw new Refused('it is no longer waiting');
  };
  job.changeDelay = async (delayMs) => {
    needNotHeld(await needRecord());
    const changed = await context.records.change(id, {
      ...act('wake'),
      patch: { nextAttemptAt: fromNow(delayMs), wake: 'due' },
      event: { kind: 'operator', text: `postponed by ${currentActor().name}` },
    });
    if (changed.kind === 'refused') throw new Refused('it is no longer waiting');
    const record = await context.records.delivery(id);
    if (record) await callDelivery(pipelineContext, record, changed.now);
    // `callDelivery` only makes a job due earlier, not later.
    const found = await queue.getJob(id);
    if ((await found?.getState()) === 'delayed') await found?.changeDelay(delayMs);
  };
  job.remove = async () => {
    const looked = await context.records.look(id);
    if (looked?.record.state === 'active') {
      throw new Refused('an attempt is in progress: cancel the delivery, or wait until it ends');
    }
    // First the delivery, then its job: without the job, the delivery would wait forever.
    if (looked && !endStates.includes(looked.record.state)) {
      await orRefused(() => cancelDelivery(context, id, currentActor()));
    }
    // If the last delivery were removed together with its link, its study task would treat everything as delivered.
    await context.redis.hdel(queue.toKey(id), 'parentKey', 'parent');
    await removeJob({ removeChildren: false });
  };
  return job;

  async function needRecord(): Promise<LookedAt> {
    const looked = await context.records.look(id);
    if (!looked) throw new Refused('the records of its study were removed: remove the job');
    return looked;
  }
}

function needNotHeld({ isHeld }: LookedAt): void {
  if (isHeld) throw new Refused('it is held: release it first');
}
