import { studyQueue, targetQueue, type Config } from '@dicom-dispatch/core';
import { queueOptions, type Redis } from '@dicom-dispatch/runtime';
import { Queue } from 'bullmq';
import { OperationError } from '../operation-error.ts';

/** The queues of a configuration, each opened on first use. */
export class OpenQueues {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #open = new Map<string, Queue>();

  constructor(redis: Redis, config: Pick<Config, 'redis'>) {
    this.#redis = redis;
    this.#prefix = config.redis.prefix;
  }

  /** The queue of study tasks. */
  study(): Queue {
    return this.#queue(studyQueue);
  }

  target(name: string): Queue {
    return this.#queue(targetQueue(name));
  }

  /** @throws OperationError `not-found` */
  known(config: Config, target: string): Queue {
    if (config.targets[target] === undefined) {
      const names = Object.keys(config.targets).join(', ');
      throw new OperationError('not-found', `there is no target "${target}": use one of ${names}`);
    }
    return this.target(target);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((queue) => queue.close()));
    this.#open.clear();
  }

  #queue(name: string): Queue {
    const known = this.#open.get(name);
    if (known) return known;
    const queue = new Queue(name, queueOptions(this.#redis, this.#prefix));
    // The connection itself reports when Redis is unavailable; without a listener, an error of the queue would end the
    // process.
    queue.on('error', () => {});
    this.#open.set(name, queue);
    return queue;
  }
}
