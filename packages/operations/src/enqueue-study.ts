import {
  contentHash,
  deliveryId,
  studyQueue,
  studyTaskId,
  targetQueue,
  type Config,
  type DeliveryData,
  type ManifestInstance,
  type Priority,
  type StudyTaskData,
} from '@dicom-dispatch/core';
import { endStates, type Records, type StudyRecord } from '@dicom-dispatch/cache/records';
import { jobPriority, keepJobs, queueOptions, type Redis } from '@dicom-dispatch/runtime';
import type { StudyFacts } from '@dicom-dispatch/sources';
import { FlowProducer } from 'bullmq';

export interface StudyToEnqueue {
  readonly source: string;
  readonly epoch: string;
  readonly study: StudyFacts;
  readonly manifest: readonly ManifestInstance[];
  readonly rules: readonly string[];
  readonly targets: readonly string[];
  readonly priority: Priority;
  /** Makes it a task of its own although the same content was routed before: an operator asked for it. */
  readonly nonce?: string;
}

export interface Enqueued {
  readonly studyTaskId: string;
  readonly contentHash: string;
  /** Deliveries that are in the queues because of this call. */
  readonly added: readonly DeliveryData[];
}

/** Puts study tasks into the queues. */
export class StudyEnqueuer {
  readonly #config: Config;
  readonly #records: Records;
  readonly #redis: Redis;
  readonly #flows: FlowProducer;

  constructor(config: Config, redis: Redis, records: Records) {
    this.#config = config;
    this.#redis = redis;
    this.#records = records;
    this.#flows = new FlowProducer(queueOptions(redis, config.redis.prefix));
    // The connection tells when Redis is away.
    this.#flows.on('error', () => {});
  }

  /**
   * Writes the study's record and adds its deliveries as one flow. The same content twice adds nothing; a delivery whose
   * record stands but whose job was lost between the two writes is added again. Resolves when Redis has it all.
   */
  async enqueue(request: StudyToEnqueue): Promise<Enqueued> {
    const task = this.#taskData(request);
    const deliveries = request.targets.map((target) => this.#deliveryData(task, target, request.nonce));
    await this.#records.routed(recordOf(task, request), deliveries);
    const added = await this.#withoutJob(deliveries);
    if (added.length > 0) await this.#addFlow(task, added, added.length < deliveries.length);
    return { studyTaskId: task.studyTaskId, contentHash: task.contentHash, added };
  }

  async close(): Promise<void> {
    await this.#flows.close();
  }

  #taskData(request: StudyToEnqueue): StudyTaskData {
    const { source, epoch, study, manifest, rules, targets, priority, nonce } = request;
    const hash = contentHash(manifest);
    const identity = { source, studyInstanceUid: study.studyInstanceUid, contentHash: hash };
    const modalities = study.facts.study['ModalitiesInStudy'];
    return {
      source,
      epoch,
      studyInstanceUid: study.studyInstanceUid,
      orthancStudyId: study.orthancStudyId,
      contentHash: hash,
      instanceCount: manifest.length,
      modalities: Array.isArray(modalities) ? [...modalities] : [],
      studyTaskId: studyTaskId({ ...identity, ...(nonce !== undefined && { nonce }) }),
      rules: [...rules],
      targets: [...targets],
      priority,
      routedAt: Date.now(),
    };
  }

  #deliveryData(task: StudyTaskData, target: string, nonce: string | undefined): DeliveryData {
    const { targets: _, ...shared } = task;
    const id = deliveryId({
      source: task.source,
      studyInstanceUid: task.studyInstanceUid,
      target,
      contentHash: task.contentHash,
      ...(nonce !== undefined && { nonce }),
    });
    return { ...shared, target, deliveryId: id };
  }

  /** Deliveries that have to be added: not ended, and not in their queue. */
  async #withoutJob(deliveries: readonly DeliveryData[]): Promise<DeliveryData[]> {
    const prefix = this.#config.redis.prefix;
    const wanted = await Promise.all(
      deliveries.map(async (delivery) => {
        const record = await this.#records.delivery(delivery.deliveryId);
        if (record && endStates.includes(record.state)) return false;
        const key = `${prefix}:${targetQueue(delivery.target)}:${delivery.deliveryId}`;
        return Number(await this.#redis.exists(key)) === 0;
      }),
    );
    return deliveries.filter((_, index) => wanted[index]);
  }

  async #addFlow(task: StudyTaskData, deliveries: readonly DeliveryData[], isPart: boolean): Promise<void> {
    // A parent's children are fixed when it is added: what comes later for the same content gets a parent of its own.
    const parentId = isPart
      ? studyTaskId({ ...task, nonce: deliveries.map(({ deliveryId: id }) => id).join() })
      : task.studyTaskId;
    await this.#flows.add({
      name: 'study',
      queueName: studyQueue,
      data: { ...task, studyTaskId: parentId, targets: deliveries.map(({ target }) => target) } satisfies StudyTaskData,
      opts: { jobId: parentId, ...keepJobs, attempts: 5, backoff: { type: 'exponential', delay: 5_000 } },
      children: deliveries.map((delivery) => ({
        name: 'delivery',
        queueName: targetQueue(delivery.target),
        data: { ...delivery, studyTaskId: parentId } satisfies DeliveryData,
        opts: {
          jobId: delivery.deliveryId,
          ...keepJobs,
          attempts: this.#config.targets[delivery.target]?.attempts ?? 1,
          backoff: { type: 'custom' },
          priority: jobPriority(delivery.priority),
        },
      })),
    });
  }
}

function recordOf(task: StudyTaskData, request: StudyToEnqueue): StudyRecord {
  const { priority: _, ...shared } = task;
  return { ...shared, lastUpdate: request.study.lastUpdate };
}
