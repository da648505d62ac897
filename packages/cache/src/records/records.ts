import { DispatchError, type DeliveryData, type Stage } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import {
  deliveryStates,
  type DeliveryEvent,
  type DeliveryPatch,
  type DeliveryRecord,
  type DeliveryState,
  type StudyRecord,
} from './record-types.ts';
import { routedScript, updateScript } from './record-scripts.ts';

const longestTimeline = 500;

export interface StudyKey {
  readonly source: string;
  readonly studyInstanceUid: string;
}

export interface DeliveryFilter {
  readonly state?: DeliveryState;
  readonly target?: string;
  /** Only what changed before (ms since 1970): for paging. */
  readonly before?: number;
  readonly limit: number;
}

/**
 * Studies and deliveries as operators see them, kept in Redis beside the queues. BullMQ's jobs may be removed; these
 * records stay. Every change is published on `<prefix>:changes` as `source studyInstanceUid`.
 */
export class Records {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  /** The channel on which changes are published. */
  get channel(): string {
    return `${this.#prefix}:changes`;
  }

  /** @returns how many of the deliveries are new */
  async routed(study: StudyRecord, deliveries: readonly DeliveryData[]): Promise<number> {
    const member = memberOf(study);
    return this.#run(async () =>
      Number(
        await this.#redis.eval(
          routedScript,
          3,
          this.#studyKey(study),
          this.#deliveriesKey(study),
          `${this.#prefix}:index:studies`,
          this.#prefix,
          JSON.stringify(study),
          member,
          study.routedAt,
          ...deliveries.flatMap((delivery) => [delivery.deliveryId, JSON.stringify(delivery)]),
        ),
      ),
    );
  }

  /** @returns false when there is no such delivery */
  async update(id: string, patch: DeliveryPatch, event?: Omit<DeliveryEvent, 'at'>): Promise<boolean> {
    const now = Date.now();
    const { addBytesSent = 0, ...fields } = patch;
    const pairs = Object.entries(fields).flatMap(([field, value]) =>
      value === undefined ? [] : [field, encode(value)],
    );
    return this.#run(async () => {
      const found = await this.#redis.eval(
        updateScript,
        2,
        this.#deliveryKey(id),
        `${this.#prefix}:events:${id}`,
        this.#prefix,
        id,
        now,
        addBytesSent,
        event ? JSON.stringify({ at: now, ...event }) : '',
        longestTimeline,
        ...pairs,
      );
      return found === 1;
    });
  }

  async delivery(id: string): Promise<DeliveryRecord | undefined> {
    return (await this.#deliveries([id]))[0];
  }

  async study(key: StudyKey): Promise<StudyRecord | undefined> {
    const text = await this.#run(() => this.#redis.get(this.#studyKey(key)));
    return text === null ? undefined : (JSON.parse(text) as StudyRecord);
  }

  /** Several studies at once, in the order asked for. */
  async studiesByUid(source: string, uids: readonly string[]): Promise<(StudyRecord | undefined)[]> {
    if (uids.length === 0) return [];
    const keys = uids.map((studyInstanceUid) => this.#studyKey({ source, studyInstanceUid }));
    const texts = await this.#run(() => this.#redis.mget(keys));
    return texts.map((text) => (text === null ? undefined : (JSON.parse(text) as StudyRecord)));
  }

  /** All deliveries of a study, the newest first. */
  async deliveriesOf(key: StudyKey): Promise<DeliveryRecord[]> {
    return this.#deliveries(await this.#run(() => this.#redis.zrevrange(this.#deliveriesKey(key), 0, -1)));
  }

  /** Studies in the order in which they were routed, the newest first. */
  async studies(options: { readonly before?: number; readonly limit: number }): Promise<StudyRecord[]> {
    const members = await this.#run(() =>
      this.#redis.zrevrangebyscore(
        `${this.#prefix}:index:studies`,
        options.before === undefined ? '+inf' : `(${options.before}`,
        '-inf',
        'LIMIT',
        0,
        options.limit,
      ),
    );
    if (members.length === 0) return [];
    const texts = await this.#run(() =>
      this.#redis.mget(members.map((member) => `${this.#prefix}:study:${member.replace(' ', ':')}`)),
    );
    return texts.flatMap((text) => (text === null ? [] : [JSON.parse(text) as StudyRecord]));
  }

  /** Deliveries by what they are and where they go, the latest change first. */
  async deliveries(filter: DeliveryFilter): Promise<DeliveryRecord[]> {
    const states = filter.state === undefined ? deliveryStates : [filter.state];
    const highest = filter.before === undefined ? '+inf' : `(${filter.before}`;
    const lists = await this.#run(() =>
      Promise.all(
        states.map((state) =>
          this.#redis.zrevrangebyscore(this.#indexKey(state, filter.target), highest, '-inf', 'LIMIT', 0, filter.limit),
        ),
      ),
    );
    const found = await this.#deliveries(lists.flat());
    return found.sort((a, b) => b.updatedAt - a.updatedAt).slice(0, filter.limit);
  }

  async counts(target?: string): Promise<Record<DeliveryState, number>> {
    const counted = await this.#run(() =>
      Promise.all(
        deliveryStates.map(async (state) => [state, await this.#redis.zcard(this.#indexKey(state, target))] as const),
      ),
    );
    return Object.fromEntries(counted) as Record<DeliveryState, number>;
  }

  async studyCount(): Promise<number> {
    return this.#run(() => this.#redis.zcard(`${this.#prefix}:index:studies`));
  }

  /** The timeline of a delivery, oldest first. */
  async events(id: string): Promise<DeliveryEvent[]> {
    const lines = await this.#run(() => this.#redis.lrange(`${this.#prefix}:events:${id}`, 0, -1));
    return lines.map((line) => JSON.parse(line) as DeliveryEvent);
  }

  async #deliveries(ids: readonly string[]): Promise<DeliveryRecord[]> {
    if (ids.length === 0) return [];
    const pipeline = this.#redis.pipeline();
    for (const id of ids) pipeline.hgetall(this.#deliveryKey(id));
    const answers = await this.#run(() => pipeline.exec());
    return (answers ?? []).flatMap(([error, fields]) => {
      if (error) throw new DispatchError('ledger-unavailable', 'a delivery could not be read', { cause: error });
      return decode(fields as Record<string, string>);
    });
  }

  async #run<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (error instanceof DispatchError) throw error;
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for a record', { cause: error });
    }
  }

  #studyKey(key: StudyKey): string {
    return `${this.#prefix}:study:${key.source}:${key.studyInstanceUid}`;
  }
  #deliveriesKey(key: StudyKey): string {
    return `${this.#prefix}:study-deliveries:${key.source}:${key.studyInstanceUid}`;
  }
  #deliveryKey(id: string): string {
    return `${this.#prefix}:delivery:${id}`;
  }
  #indexKey(state: DeliveryState, target: string | undefined): string {
    return target === undefined
      ? `${this.#prefix}:index:state:${state}`
      : `${this.#prefix}:index:target:${target}:${state}`;
  }
}

function memberOf(key: StudyKey): string {
  return `${key.source} ${key.studyInstanceUid}`;
}

function encode(value: unknown): string {
  if (value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function decode(fields: Record<string, string>): DeliveryRecord[] {
  if (fields['data'] === undefined) return [];
  const data = JSON.parse(fields['data']) as DeliveryData;
  const time = (name: string): number | undefined => (fields[name] === undefined ? undefined : Number(fields[name]));
  return [
    {
      ...data,
      state: fields['state'] as DeliveryState,
      stage: fields['stage'] as Stage | undefined,
      failStage: fields['failStage'] as Stage | undefined,
      attempts: Number(fields['attempts'] ?? 0),
      total: Number(fields['total'] ?? data.instanceCount),
      confirmed: Number(fields['confirmed'] ?? 0),
      quarantined: Number(fields['quarantined'] ?? 0),
      bytesSent: Number(fields['bytesSent'] ?? 0),
      error: fields['error'] === undefined ? undefined : (JSON.parse(fields['error']) as DeliveryRecord['error']),
      worker: fields['worker'],
      startedAt: time('startedAt'),
      endedAt: time('endedAt'),
      nextAttemptAt: time('nextAttemptAt'),
      updatedAt: Number(fields['updatedAt'] ?? data.routedAt),
    },
  ];
}
