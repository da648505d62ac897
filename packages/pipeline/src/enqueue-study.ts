import {
  contentHash,
  deliveryData,
  mostUrgent,
  studyQueue,
  studyTaskId,
  targetQueue,
  type Config,
  type DeliveryData,
  type ManifestInstance,
  type OnSuccessConfig,
  type PlannedDelivery,
  type StudyTaskData,
} from '@dicom-dispatch/core';
import { Circuits } from '@dicom-dispatch/state/circuit';
import {
  endStates,
  searchHashes,
  type DeliveryRecord,
  type Records,
  type SearchHashes,
  type StudyRecord,
} from '@dicom-dispatch/state/records';
import { redisNow } from '@dicom-dispatch/state/redis';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import { joinCalls, keepJobs, type Redis } from '@dicom-dispatch/runtime';
import type { StudyFacts } from '@dicom-dispatch/sources';
import { publishArrival } from './arrivals.ts';
import { arrivingOf, endUnwanted, isUnwanted, wantAgain } from './enqueue-arriving.ts';
import { addJob, finishReplacing, type HandOverContext } from './hand-over.ts';
import { operationKeys } from './keys.ts';
import { deliveryJobOptions, JoinedFlows, jobPlace, OpenQueues, unlimitedAttempts } from './queues/index.ts';
import { resolveDeliveries, selectedFor, type DeliveryTerms } from './resolve-deliveries.ts';
import { searchKeysOf } from './search-keys.ts';
import { callDelivery, wakeDelivery } from './wake-delivery.ts';

export interface StudyToEnqueue {
  readonly source: string;
  readonly epoch: string;
  readonly study: StudyFacts;
  readonly manifest: readonly ManifestInstance[];
  readonly rules: readonly string[];
  readonly deliveries: readonly PlannedDelivery[];
  readonly onSuccess?: OnSuccessConfig | undefined;
  /** Creates a separate task although the same content was routed before, because an operator requested it. */
  readonly nonce?: string;
  /** An operator sends it: the stored result of the rules, and their next result, are not affected. */
  readonly byHand?: boolean;
  /** All of it was pulled into the source as a prior: its present content is not routed by the rules. */
  readonly isPulled?: boolean;
  /** A rule waits until the study is complete. */
  readonly isIncomplete?: boolean;
  /** AE titles that sent the instances: the study is not sent back to them. If omitted, no target is excluded. */
  readonly senders?: ReadonlySet<string>;
  /** Tags of instances that selections refer to, by the instance's id in the source. */
  readonly instanceTags?: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** Targets and groups that receive the study; the others had it before Redis lost its data. Default: all. */
  readonly only?: readonly string[];
}

export interface Enqueued {
  readonly studyTaskId: string;
  readonly contentHash: string;
  /** All requested deliveries, new or existing. */
  readonly deliveries: readonly DeliveryData[];
  /** Deliveries that are in the queues because of this call. */
  readonly added: readonly DeliveryData[];
  /** Requested deliveries that are not created, with the reason. */
  readonly omitted: readonly { readonly target: string; readonly why: string }[];
  /** The study had no delivery before. */
  readonly isNew: boolean;
}

/**
 * A job is lost if a router crashes, and the next router routes the same study first. So checking the newest deliveries is
 * sufficient.
 */
const lookedAt = 20;

/** Puts study tasks into the queues. */
export class StudyEnqueuer {
  #config: Config;
  readonly #records: Records;
  readonly #redis: Redis;
  readonly #flows: JoinedFlows;
  readonly #queues: OpenQueues;
  readonly #circuits: Circuits;
  readonly #tasks: TaskRecords;
  /** Adds targets to those that have deliveries. */
  readonly #name = joinCalls(async (targets: readonly (readonly string[])[]) => {
    await this.#redis.sadd(operationKeys(this.#config.redis.prefix).targets, ...new Set(targets.flat()));
    return [];
  });

  constructor(config: Config, redis: Redis, records: Records) {
    this.#config = config;
    this.#redis = redis;
    this.#records = records;
    this.#queues = new OpenQueues(redis, config);
    this.#circuits = new Circuits(redis, config.redis.prefix);
    this.#tasks = new TaskRecords(redis, config.redis.prefix);
    this.#flows = new JoinedFlows(redis, config.redis.prefix);
  }

  /** Uses targets, groups and transforms of another configuration; the Redis connection is unchanged. */
  reload(config: Config): void {
    this.#config = config;
  }

  /**
   * Writes the record of the study and adds its deliveries as one flow. Repeated content adds nothing. If a delivery has a
   * record but its job was lost between the two writes, the job is added again, also for previous content: it finds
   * that everything has arrived, and ends. Resolves when Redis has stored everything.
   */
  async enqueue(request: StudyToEnqueue): Promise<Enqueued> {
    const hash = contentHash(request.manifest);
    const { deliveries: resolved, omitted } = await resolveDeliveries(
      this.#context,
      {
        source: request.source,
        study: request.study,
        manifest: request.manifest,
        contentHash: hash,
        nonce: request.nonce,
        senders: request.senders,
        instanceTags: request.instanceTags,
      },
      request.deliveries,
    );
    const { terms, unwanted, isNew } = await this.#asKnown(request, hash, wantedOf(resolved, request.only));
    const task = this.#taskData(request, hash, terms);
    const { targets: _, onSuccess: __, ...shared } = task;
    const deliveries = terms.map((one): DeliveryData => ({ ...shared, ...one }));
    const record = await this.#recordOf(request, task, omitted);
    // The parent first: with the first record its deliveries may begin, even if this process crashes.
    if (task.onSuccess && (await this.#hasOpen(deliveries))) await this.#tasks.open(task);
    const isAllNew = (await this.#records.routed(record, deliveries)) === deliveries.length && isNew;
    // If Redis has just seen the study for the first time, there is no job, and no other delivery whose job could be lost.
    const added = isAllNew ? deliveries : await this.#addedToKnown(request, task, deliveries, unwanted);
    if (isAllNew && added.length > 0) await this.#addFlow(task, added, false);
    if (request.byHand !== true || request.isPulled === true)
      await this.#records.enqueued({ ...record, lastUpdate: settledAt(request.study) });
    const { studyTaskId: taskId, contentHash: content } = task;
    return { studyTaskId: taskId, contentHash: content, deliveries, added, omitted, isNew: isAllNew };
  }

  /** Adds missing jobs of a study that had deliveries before. */
  async #addedToKnown(
    request: StudyToEnqueue,
    task: StudyTaskData,
    deliveries: readonly DeliveryData[],
    unwanted: readonly DeliveryRecord[],
  ): Promise<readonly DeliveryData[]> {
    const totalOf = (one: Pick<DeliveryTerms, 'target' | 'selections'>) =>
      selectedFor(this.#config, request, one).length;
    const begun = await this.#whole(deliveries, totalOf);
    await endUnwanted(this.#context, unwanted, task, totalOf);
    const added = [...begun, ...(await this.#withoutJob(deliveries.filter((one) => !begun.includes(one))))];
    if (added.length > 0) await this.#addFlow(task, added, added.length < deliveries.length);
    await this.#continueWhole(request, begun);
    await this.#addLost(task, new Set(deliveries.map(({ deliveryId }) => deliveryId)));
    return added;
  }

  /** The same content at the same target keeps its id, also one that an older version computed in another way. */
  async #asKnown(
    { source, study: { orthancStudyId }, nonce, only, byHand }: StudyToEnqueue,
    hash: string,
    terms: readonly DeliveryTerms[],
  ): Promise<{
    readonly terms: DeliveryTerms[];
    readonly unwanted: readonly DeliveryRecord[];
    readonly isNew: boolean;
  }> {
    const known = await this.#records.deliveriesOf({ source, orthancStudyId }, terms.length + lookedAt);
    const begun = new Set<DeliveryRecord>();
    const again = known.length > 0 ? ({ again: true } as const) : {};
    const asKnown = terms.map((term) => {
      const one = { ...term, ...again };
      // A delivery that was begun while this content arrived is the delivery of it; an additional one that an operator
      // requests is not.
      const arriving = nonce === undefined ? arrivingOf(known, one) : undefined;
      if (arriving) begun.add(arriving);
      const same = known.find(
        ({ target, transform, nonce: own, contentHash: content }) =>
          target === one.target && transform?.name === one.transform?.name && own === one.nonce && content === hash,
      );
      if (!arriving) return same ? { ...one, deliveryId: same.deliveryId } : one;
      return {
        ...one,
        deliveryId: arriving.deliveryId,
        ...(arriving.nonce !== undefined && { nonce: arriving.nonce }),
      };
    });
    const isLeft = (one: DeliveryRecord): boolean =>
      one.arriving !== undefined && one.state !== 'moved' && !begun.has(one);
    const unwanted = nonce === undefined && !only && byHand !== true ? known.filter(isLeft) : [];
    return { terms: asKnown, unwanted, isNew: known.length === 0 };
  }

  /**
   * Converts deliveries that were begun during reception, or that no rule wanted before, to deliveries of the complete study.
   *
   * @returns those deliveries
   */
  async #whole(
    deliveries: readonly DeliveryData[],
    totalOf: (delivery: DeliveryData) => number,
  ): Promise<DeliveryData[]> {
    const begun: DeliveryData[] = [];
    for (const one of deliveries) if (await this.#records.whole(one, totalOf(one))) begun.push(one);
    return begun;
  }

  /** Lets deliveries continue with the complete study: a running one is notified, a waiting or unwanted one is woken. */
  async #continueWhole({ source, study }: StudyToEnqueue, begun: readonly DeliveryData[]): Promise<void> {
    if (begun.length === 0) return;
    const { orthancStudyId } = study;
    const message = { source, orthancStudyId, from: 'stable', instances: [] } as const;
    await publishArrival(this.#redis, this.#config.redis.prefix, message);
    for (const { deliveryId } of begun) {
      const record = await this.#records.delivery(deliveryId);
      if (record?.wake === 'arrival') await wakeDelivery(this.#context, deliveryId);
      else if (record && isUnwanted(record)) await wantAgain(this.#context, record);
    }
  }

  /** The record is unchanged if a study is sent manually: a sweep must still find content that the rules have not routed. */
  async #recordOf(request: StudyToEnqueue, data: StudyTaskData, omitted: Enqueued['omitted']): Promise<StudyRecord> {
    const { priority: _, onSuccess: __, ...task } = data;
    const known = request.byHand === true || request.only ? await this.#records.study(task) : undefined;
    const pulled = request.isPulled === true ? { pulled: task.contentHash } : {};
    if (known && request.byHand === true)
      return { ...known, ...pulled, targets: [...new Set([...known.targets, ...task.targets])] };
    const search = this.#search(request.study);
    return {
      ...task,
      // The other targets already have this content.
      ...(known?.contentHash === task.contentHash && { targets: [...new Set([...known.targets, ...task.targets])] }),
      ...pulled,
      ...(request.isIncomplete === true && { isIncomplete: true }),
      lastUpdate: undefined,
      ...(omitted.length > 0 && { omitted }),
      ...(search && { search }),
    };
  }

  #search({ tags }: StudyFacts): SearchHashes | undefined {
    const [key] = searchKeysOf(this.#config);
    if (!key) return undefined;
    return searchHashes(key, {
      accessionNumber: tags.study['AccessionNumber'],
      patientId: tags.study['PatientID'],
      seriesInstanceUids: [...tags.series.keys()],
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#flows.close(), this.#queues.close()]);
  }

  get #context(): HandOverContext {
    return {
      config: this.#config,
      redis: this.#redis,
      circuits: this.#circuits,
      queues: this.#queues,
      records: this.#records,
    };
  }

  #taskData(request: StudyToEnqueue, hash: string, terms: readonly DeliveryTerms[]): StudyTaskData {
    const { source, epoch, study, manifest, rules, nonce, onSuccess } = request;
    const identity = { source, orthancStudyId: study.orthancStudyId, contentHash: hash };
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
      targets: terms.map(({ target }) => target),
      priority: mostUrgent(terms.map(({ priority }) => priority)),
      routedAt: Date.now(),
      ...(onSuccess && { onSuccess }),
    };
  }

  async #hasOpen(deliveries: readonly DeliveryData[]): Promise<boolean> {
    const records = await Promise.all(deliveries.map(({ deliveryId }) => this.#records.delivery(deliveryId)));
    return records.some((record) => !record || !endStates.includes(record.state));
  }

  /** Deliveries that need a job: not ended, and without a job. Existing jobs are called, in case they have stalled. */
  async #withoutJob(deliveries: readonly DeliveryData[]): Promise<DeliveryData[]> {
    const wanted = await Promise.all(
      deliveries.map(async ({ deliveryId, target }) => {
        const record = await this.#records.delivery(deliveryId);
        if (!record || endStates.includes(record.state)) return record === undefined;
        // This delivery replaces another one, and gets its job when that one has ended: here after a crash, otherwise in
        // `replaceDelivery`.
        if (record.replaces !== undefined) {
          await finishReplacing(this.#context, record);
          return false;
        }
        const place = await jobPlace(this.#redis, this.#queues.target(target), deliveryId);
        if (place.state === 'missing') return true;
        await callDelivery(this.#context, record, await redisNow(this.#redis, this.#config.redis.prefix), place);
        return false;
      }),
    );
    return deliveries.filter((_, index) => wanted[index]);
  }

  async #addLost(study: StudyTaskData, present: ReadonlySet<string>): Promise<void> {
    const former = (await this.#records.deliveriesOf(study, present.size + lookedAt)).filter(
      ({ deliveryId, state }) => state === 'waiting' && !present.has(deliveryId),
    );
    for (const lost of await this.#withoutJob(former.map((record) => deliveryData.parse(record)))) {
      await addJob(this.#context, lost);
    }
  }

  async #addFlow(task: StudyTaskData, deliveries: readonly DeliveryData[], isPart: boolean): Promise<void> {
    // The children of a parent job are fixed when it is added: later deliveries of the same content get a separate parent.
    const parentId = isPart
      ? studyTaskId({ ...task, nonce: deliveries.map(({ deliveryId: id }) => id).join() })
      : task.studyTaskId;
    const targets = deliveries.map(({ target }) => target);
    if (isPart && task.onSuccess) await this.#tasks.open(task, { again: true });
    const named = this.#name(targets);
    const flow = {
      name: 'study',
      queueName: studyQueue,
      data: {
        ...task,
        studyTaskId: parentId,
        targets,
        ...(isPart && { partOf: task.studyTaskId }),
      } satisfies StudyTaskData,
      opts: { jobId: parentId, ...keepJobs, attempts: unlimitedAttempts, backoff: { type: 'custom' } },
      children: deliveries.map((delivery) => ({
        name: 'delivery',
        queueName: targetQueue(delivery.target),
        data: { ...delivery, studyTaskId: parentId } satisfies DeliveryData,
        opts: deliveryJobOptions(delivery),
      })),
    };
    await Promise.all([named, this.#flows.add(flow)]);
  }
}

function wantedOf(terms: readonly DeliveryTerms[], only: readonly string[] | undefined): readonly DeliveryTerms[] {
  if (!only) return terms;
  return terms.filter(
    ({ target, group }) => only.includes(target) || (group !== undefined && only.includes(group.name)),
  );
}

/**
 * When a study was changed last, for the sweep, which compares it. It has a resolution of one second: instances that arrive within
 * the second in which a study was read would not change it. So it is unknown while the study is being received.
 */
function settledAt({ lastUpdate, isStable }: StudyFacts): string | undefined {
  return isStable === false ? undefined : lastUpdate;
}
