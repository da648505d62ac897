import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { workerOptions, type Redis } from '@dicom-dispatch/runtime';
import { act, endStates, fromNow, type DeliveryState } from '@dicom-dispatch/state/records';
import { Worker, type Job, type Queue } from 'bullmq';

/** The targets of the model, each with a queue. */
export const queueNames = ['a', 'b'] as const;

/** Attempts as dispatchers make them, and their ends: with BullMQ's locks, and without a transfer. */
export class Dispatchers {
  readonly #operations: PipelineContext;
  readonly #witness: Redis;
  readonly #workers: ReadonlyMap<string, Worker>;
  /** Attempts that have begun, by delivery. */
  readonly #taken = new Map<string, { readonly job: Job; readonly token: string }>();

  constructor(operations: PipelineContext, witness: Redis, prefix: string) {
    this.#operations = operations;
    this.#witness = witness;
    this.#workers = new Map(
      queueNames.map((name) => {
        const options = workerOptions(operations.redis, prefix, 1, 60_000);
        const worker = new Worker(`target-${name}`, null as never, options);
        worker.on('error', () => {});
        return [name, worker];
      }),
    );
  }

  /** Takes the next job of a target. @param count - makes the token unique */
  async begin(target: string, count: number): Promise<void> {
    const token = `t-${count}`;
    const job = (await this.#workers.get(target)?.getNextJob(token, { block: false })) as Job | undefined;
    if (!job?.id) return;
    const lock = lockOf(this.#operations.queues.target(target), job.id);
    const fence = { lockKey: lock, token };
    const patch = { state: 'active', wake: 'attempt', lock, token, nextAttemptAt: null } as const;
    const changed = await this.#operations.records.change(job.id, { ...act('begin'), patch, fence });
    if (changed.kind === 'done') this.#taken.set(job.id, { job, token });
    else if (changed.state === undefined || endStates.includes(changed.state)) {
      await job.moveToFailed(new Error('ended'), token);
    } else await job.moveToDelayed(Date.now() + 3_600_000, token);
  }

  /** The dispatcher of an attempt dies, or the attempt ends or is put off. @param count - selects how */
  async finish(how: 'die' | 'end' | 'put off', queue: Queue, id: string, count: number): Promise<void> {
    const attempt = this.#taken.get(id);
    if (!attempt) return;
    this.#taken.delete(id);
    const { job, token } = attempt;
    const { records } = this.#operations;
    const lockKey = lockOf(queue, id);
    if (how === 'die') {
      await this.#witness.del(lockKey);
      return;
    }
    const fence = { lockKey, token };
    if (how === 'put off') {
      const patch = { state: 'waiting', wake: 'due', nextAttemptAt: fromNow(5_000) } as const;
      const changed = await records.change(id, { ...act('putOff'), patch, fence });
      // Every second dispatcher is killed between writing the record and delaying the job.
      if (changed.kind === 'done' && count % 2 === 0) await job.moveToDelayed(Date.now() + 5_000, token);
    } else {
      const state: DeliveryState = count % 3 === 0 ? 'failed' : 'delivered';
      const changed = await records.change(id, { ...act('end'), patch: { state }, fence });
      if (changed.kind === 'done') await job.moveToCompleted('x', token, false);
    }
  }

  /** The dispatcher stalls until its lock has expired; another dispatcher gets its job, and then the first one continues. */
  async stall(queue: Queue, id: string): Promise<void> {
    const worker = this.#workers.get(queue.name.slice('target-'.length)) as unknown as Staller | undefined;
    // BullMQ marks jobs without a lock, and takes those that are still marked at its next check.
    for (let look = 0; look < 2; look += 1) {
      await this.#witness.del(lockOf(queue, id), queue.toKey('stalled-check'));
      await worker?.moveStalledJobsToWait();
    }
  }

  /** Attempts of an earlier script are not ended any more. */
  forget(): void {
    this.#taken.clear();
  }

  async close(): Promise<void> {
    for (const worker of this.#workers.values()) await worker.close(true);
  }
}

function lockOf(queue: Queue, id: string): string {
  return `${queue.toKey(id)}:lock`;
}

/** What a BullMQ worker does periodically, every few seconds. */
interface Staller {
  moveStalledJobsToWait(): Promise<void>;
}
