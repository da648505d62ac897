import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import {
  pauseTarget,
  promoteTarget,
  resumeTarget,
  setTargetConcurrency,
  setTargetRate,
} from '@dicom-dispatch/operations';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import type { Job, Queue } from 'bullmq';
import { currentActor } from './acting.ts';
import { asDeliveryJob } from './delivery-job-acts.ts';
import { orRefused, Refused } from './refused.ts';
import { asStudyJob } from './study-job-acts.ts';

const minuteMs = 60_000;
/** Ids of deliveries and study tasks. BullMQ stores other keys with the name of a queue (`meta`, `events`), which are not jobs. */
const jobId = /^[ds]-[0-9a-f]{20}$/;

type BoardJob = Awaited<ReturnType<BullMQAdapter['getJob']>>;

/**
 * A queue for Bull Board, whose buttons execute actions of this system: the records of deliveries and study tasks decide, and an
 * action is either rejected or executed completely.
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
    if (!jobId.test(id)) return undefined;
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

  override async pause(): Promise<void> {
    if (this.#target === undefined) await super.pause();
    else await pauseTarget(this.#context, this.#target, currentActor());
  }

  override async resume(): Promise<void> {
    if (this.#target === undefined) await super.resume();
    else await resumeTarget(this.#context, this.#target);
  }

  override async promoteAll(): Promise<void> {
    if (this.#target !== undefined) {
      await promoteTarget(this.#context, this.#target);
      return;
    }
    for (const job of await this.getJobs(['delayed'], 0, 9_999)) await (job as unknown as Job).promote();
  }

  override async setGlobalConcurrency(concurrency: number): Promise<void> {
    const target = this.#target;
    if (target === undefined) throw new Refused('study tasks have no concurrency limit');
    await orRefused(() => setTargetConcurrency(this.#context, target, concurrency));
  }

  /** Sets the rate of the target, per minute and at least one: a rate of zero would be an invisible pause. */
  override async setConfiguredRateLimit({ max, duration }: { max: number; duration: number }): Promise<void> {
    await this.#setRate((max * minuteMs) / duration);
  }

  override async removeConfiguredRateLimit(): Promise<void> {
    await this.#setRate(undefined);
  }

  async #setRate(deliveriesPerMinute: number | undefined): Promise<void> {
    const target = this.#target;
    if (target === undefined) throw new Refused('study tasks have no rate limit');
    await orRefused(() => setTargetRate(this.#context, target, deliveriesPerMinute));
  }

  #asOperator(job: Job): NonNullable<BoardJob> {
    const wrapped =
      this.#target === undefined
        ? asStudyJob(job, this.#queue, this.#context)
        : asDeliveryJob(job, this.#queue, this.#context);
    return wrapped as unknown as NonNullable<BoardJob>;
  }
}
