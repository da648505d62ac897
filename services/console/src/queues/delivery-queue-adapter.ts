import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { endStates } from '@dicom-dispatch/state/records';
import { prepareRetry } from '@dicom-dispatch/operations';
import { type PipelineContext } from '@dicom-dispatch/pipeline';
import type { Job, Queue } from 'bullmq';
import { currentActor } from './acting.ts';

type BoardJob = Awaited<ReturnType<BullMQAdapter['getJob']>>;

/**
 * A queue as Bull Board sees it, whose buttons do what our own do: a retry starts with all attempts again and sends what
 * was quarantined, and the records of deliveries say what an operator did.
 */
export class DeliveryQueueAdapter extends BullMQAdapter {
  readonly #context: PipelineContext;
  readonly #target: string | undefined;
  readonly #queue: Queue;

  /** @param target - undefined for the queue of study tasks */
  constructor(queue: Queue, context: PipelineContext, target: string | undefined) {
    super(queue, {
      allowRetries: true,
      readOnlyMode: false,
      displayName: target ?? 'study tasks',
      description: target === undefined ? 'one job a study, waiting for its deliveries' : `deliveries to ${target}`,
    });
    this.#context = context;
    this.#queue = queue;
    this.#target = target;
    this.setFormatter('returnValue', (value: unknown) => value ?? '');
  }

  override async getJob(id: string): Promise<BoardJob> {
    const job = await super.getJob(id);
    return job ? this.#asOperator(job as unknown as Job) : job;
  }

  override async getJobs(
    ...args: Parameters<BullMQAdapter['getJobs']>
  ): Promise<Awaited<ReturnType<BullMQAdapter['getJobs']>>> {
    const jobs = await super.getJobs(...args);
    return jobs.map((job) => this.#asOperator(job as unknown as Job)) as typeof jobs;
  }

  override async clean(...[status, graceMs]: Parameters<BullMQAdapter['clean']>): Promise<void> {
    throw new Error(`${status} jobs are removed one at a time, not all older than ${graceMs} ms`);
  }

  override async promoteAll(): Promise<void> {
    const held = new Set(await this.#context.redis.smembers(this.#context.keys.held));
    for (const job of await super.getJobs(['delayed'], 0, 9_999)) {
      if (!held.has(String((job as unknown as Job).id))) await job.promote();
    }
  }

  #asOperator(job: Job): NonNullable<BoardJob> {
    const context = this.#context;
    const isDelivery = this.#target !== undefined && job.id !== undefined;
    const retry = job.retry.bind(job);
    const remove = job.remove.bind(job);
    job.retry = async (state = 'failed') => {
      const record = isDelivery ? await context.records.delivery(job.id ?? '') : undefined;
      if (record?.state === 'delivered') throw new Error('it is delivered: route its study again to send it once more');
      if (record) await prepareRetry(context, record, currentActor());
      await retry(state, { resetAttemptsMade: true, resetAttemptsStarted: true });
    };
    job.remove = async (...args) => {
      // Taken away with its tie, the last delivery would let its study task believe that all has arrived.
      if (isDelivery) await context.redis.hdel(this.#queue.toKey(job.id ?? ''), 'parentKey', 'parent');
      await remove(...args);
      const record = isDelivery ? await context.records.delivery(job.id ?? '') : undefined;
      if (!record || endStates.includes(record.state)) return;
      await context.records.update(
        record.deliveryId,
        { state: 'cancelled', endedAt: Date.now(), nextAttemptAt: null },
        { kind: 'operator', text: `job removed by ${currentActor().name}` },
      );
    };
    return job as unknown as NonNullable<BoardJob>;
  }
}
