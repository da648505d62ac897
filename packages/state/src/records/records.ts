import { redisKeys } from '../keys/redis-keys.ts';
import { DispatchError, type DeliveryData } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { collect, type Found, type Limits } from './collect.ts';
import { DeliveryIndex, type DeliverySelection, type ErrorGroup } from './delivery-index.ts';
import { changeDelivery, type Changed, type DeliveryChange } from './change-delivery.ts';
import { decodeDelivery, isMeant } from './delivery-codec.ts';
import { searchIndex } from './index-search.ts';
import type { DeliveryEvent, DeliveryPatch, DeliveryRecord, DeliveryState, StudyRecord } from './record-types.ts';
import { msOfTime, redisNow } from '../redis/redis-time.ts';
import type { Place } from './walk-index.ts';
import { enqueuedScript, routedScript, searchableScript, wholeScript } from './record-scripts.ts';
import type { SearchHashes } from './search-hash.ts';

const idsAtOnce = 4_000;

/**
 * A study is known by its id in Orthanc, which stands for patient and study: two patients of one source may have the same
 * Study Instance UID.
 */
export interface StudyKey {
  readonly source: string;
  readonly orthancStudyId: string;
}

export interface LookedAt {
  readonly record: DeliveryRecord;
  readonly isHeld: boolean;
  readonly isCancelled: boolean;
  /** By the clock of Redis (ms since 1970). */
  readonly now: number;
}

/** Which studies are meant. What is not given does not matter. */
export interface StudySelection {
  readonly rule?: string | undefined;
  readonly source?: string | undefined;
  /** Routed at or after, and before (ms since 1970). */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/**
 * Studies and deliveries as operators see them, kept in Redis beside the queues. BullMQ's jobs may be removed; these
 * records stay. Every change is published on `<prefix>:changes` as `source orthancStudyId`.
 */
export class Records {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #index: DeliveryIndex;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#index = new DeliveryIndex(redis, prefix);
  }

  /** The channel on which changes are published. */
  get channel(): string {
    return redisKeys(this.#prefix).changes;
  }

  /**
   * @param keepsStudy - the record of a study that is known stays as it is
   * @returns how many of the deliveries are new
   */
  async routed(
    study: StudyRecord,
    deliveries: readonly DeliveryData[],
    { keepsStudy = false }: { readonly keepsStudy?: boolean } = {},
  ): Promise<number> {
    const member = memberOf(study);
    return this.#run(async () =>
      Number(
        await routedScript.run(
          this.#redis,
          [this.#studyKey(study), this.#deliveriesKey(study), redisKeys(this.#prefix).index('studies'), this.#uidsKey],
          [
            this.#prefix,
            JSON.stringify(study),
            member,
            study.routedAt,
            keepsStudy ? '1' : '',
            ...deliveries.flatMap((delivery) => [delivery.deliveryId, JSON.stringify(delivery)]),
          ],
        ),
      ),
    );
  }

  /**
   * The deliveries of a study are all queued: from now on a sweep takes what the source had at its `lastUpdate` for
   * routed. Before, the router may have died between the record and the jobs.
   */
  async enqueued(study: StudyRecord): Promise<void> {
    const text = JSON.stringify(study);
    await this.#run(() => enqueuedScript.run(this.#redis, [this.#studyKey(study)], [study.studyTaskId, text]));
  }

  /** Gives a study that was routed without it, or with another key, the hashes by which it is found. */
  async makeSearchable(study: StudyRecord, search: SearchHashes): Promise<void> {
    await this.#run(() =>
      searchableScript.run(
        this.#redis,
        [this.#studyKey(study), redisKeys(this.#prefix).index('study-hashes')],
        [study.studyTaskId, JSON.stringify({ ...study, search }), memberOf(study)],
      ),
    );
  }

  /** Studies that have one of these hashes: of several sources, or of one patient. At most so many. */
  async studiesOfHashes(hashes: readonly string[], limit: number): Promise<StudyRecord[]> {
    const key = redisKeys(this.#prefix).index('study-hashes');
    const found = await this.#run(async () => {
      const lists = await Promise.all(
        // "!" comes after the space that ends what is looked for.
        hashes.map((hash) => this.#redis.zrangebylex(key, `[${hash} `, `(${hash}!`, 'LIMIT', 0, limit)),
      );
      const members = new Set(lists.flatMap((list) => list.map((member) => member.slice(member.indexOf(' ') + 1))));
      return this.#studies([...members].slice(0, limit));
    });
    return found.filter((study) => study?.search?.hashes.some((hash) => hashes.includes(hash))) as StudyRecord[];
  }

  /**
   * Makes a delivery whose study was sent as it came one of the whole study.
   *
   * @returns false when it is one already, or there is none
   */
  async whole(delivery: DeliveryData): Promise<boolean> {
    const { deliveryId } = delivery;
    const args = [this.#prefix, deliveryId, JSON.stringify(delivery), memberOf(delivery)];
    return this.#run(async () => (await wholeScript.run(this.#redis, [this.#deliveryKey(deliveryId)], args)) === 1);
  }

  /**
   * Changes what is shown of a delivery.
   *
   * @param fence - nothing is written when its lock has gone to another worker
   * @returns false when there is no such delivery, or nothing was written
   */
  async update(
    id: string,
    patch: DeliveryPatch,
    event?: Omit<DeliveryEvent, 'at'>,
    fence?: { readonly lockKey: string; readonly token: string },
  ): Promise<boolean> {
    return (await this.change(id, { patch, event, fence })).kind === 'done';
  }

  /** Does one act on a delivery, or refuses it; see `docs/delivery-life.md`. */
  change(id: string, change: DeliveryChange): Promise<Changed> {
    return this.#run(() => changeDelivery(this.#redis, this.#prefix, id, change));
  }

  /** A delivery with what operators want of it, as of one moment. */
  async look(id: string): Promise<LookedAt | undefined> {
    return (await this.lookAll([id]))[0];
  }

  async lookAll(ids: readonly string[]): Promise<(LookedAt | undefined)[]> {
    if (ids.length === 0) return [];
    const keys = redisKeys(this.#prefix);
    const transaction = this.#redis.multi().time();
    for (const id of ids) transaction.hgetall(keys.delivery(id)).sismember(keys.held, id).exists(keys.cancelled(id));
    const [time, ...answers] = ((await this.#run(() => transaction.exec())) ?? []).map(([error, answer]) => {
      if (error) throw new DispatchError('ledger-unavailable', 'a delivery could not be read', { cause: error });
      return answer;
    });
    const now = msOfTime(time as [string, string]);
    return ids.map((_, index) => {
      const [fields, held, cancelled] = answers.slice(3 * index, 3 * index + 3);
      const [record] = decodeDelivery(fields as Record<string, string>);
      return record && { record, isHeld: held === 1, isCancelled: cancelled === 1, now };
    });
  }

  /** Open deliveries at which somebody should look whether they have what makes them go on, the longest due first. */
  async toBeLookedAt(limit: number): Promise<string[]> {
    const key = redisKeys(this.#prefix).index('open');
    return this.#run(async () =>
      this.#redis.zrangebyscore(key, '-inf', await redisNow(this.#redis, this.#prefix), 'LIMIT', 0, limit),
    );
  }

  /** Says when to look again; undefined takes one that is not open out of the index. */
  async lookAgain(id: string, inMs: number | undefined): Promise<void> {
    const key = redisKeys(this.#prefix).index('open');
    await this.#run(async () => {
      if (inMs === undefined) return this.#redis.zrem(key, id);
      return this.#redis.zadd(key, 'XX', (await redisNow(this.#redis, this.#prefix)) + Math.ceil(inMs), id);
    });
  }

  /**
   * The index of open deliveries is written with their states. One that an earlier version has written is not in it.
   *
   * @returns whether it missed some
   */
  async rebuildOpenIndex(): Promise<boolean> {
    const { index } = redisKeys(this.#prefix);
    const [open, waiting, active] = [index('open'), index('state:waiting'), index('state:active')];
    return this.#run(async () => {
      const counts = (await this.#redis.multi().zcard(open).zcard(waiting).zcard(active).exec()) ?? [];
      const [known = 0, ...others] = counts.map(([, count]) => Number(count));
      if (known === others.reduce((sum, count) => sum + count, 0)) return false;
      await this.#redis.zunionstore(open, 3, open, waiting, active, 'WEIGHTS', 1, 0, 0, 'AGGREGATE', 'MAX');
      return true;
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
  async studiesById(source: string, ids: readonly string[]): Promise<(StudyRecord | undefined)[]> {
    return this.#run(() => this.#studies(ids.map((orthancStudyId) => memberOf({ source, orthancStudyId }))));
  }

  /** All studies with a Study Instance UID, of one source or of all: more than one where patients share it. */
  async studiesOfUid(studyInstanceUid: string, source?: string): Promise<StudyRecord[]> {
    const start = `${studyInstanceUid} ${source === undefined ? '' : `${source} `}`;
    const found = await this.#run(async () => {
      // "!" comes after the space that ends what is looked for.
      const members = await this.#redis.zrangebylex(this.#uidsKey, `[${start}`, `(${start.slice(0, -1)}!`);
      return this.#studies(members.map((member) => member.slice(studyInstanceUid.length + 1)));
    });
    return found.filter((study) => study?.studyInstanceUid === studyInstanceUid) as StudyRecord[];
  }

  /** The deliveries of a study, the newest first: all of them, or so many. */
  async deliveriesOf(key: StudyKey, max = Number.POSITIVE_INFINITY): Promise<DeliveryRecord[]> {
    const last = Number.isFinite(max) ? max - 1 : -1;
    return this.#deliveries(await this.#run(() => this.#redis.zrevrange(this.#deliveriesKey(key), 0, last)));
  }

  /** The deliveries of all studies of a source with a Study Instance UID. */
  async deliveriesOfUid(studyInstanceUid: string, source: string): Promise<DeliveryRecord[]> {
    const studies = await this.studiesOfUid(studyInstanceUid, source);
    return (await Promise.all(studies.map((study) => this.deliveriesOf(study)))).flat();
  }

  /** Studies that are meant in the order in which they were routed, the newest first. */
  async studies(selection: StudySelection & Limits): Promise<Found<StudyRecord>> {
    const { rule, source, since, until, after, limit } = selection;
    const index = redisKeys(this.#prefix).index('studies');
    const parts = [
      ...(rule === undefined ? [] : [[`${index}-rule:${rule}`]]),
      ...(source === undefined ? [] : [[`${index}-source:${source}`]]),
    ];
    return this.#run(() =>
      collect(
        searchIndex(this.#redis, parts.length === 0 ? [[index]] : parts, {
          lowest: since,
          below: until,
          after,
          batch: limit + 1,
        }),
        (places) => this.#studies(places.map(({ member }) => member)),
        selection,
      ),
    );
  }

  /**
   * Studies of a source that were routed before a time, the oldest first.
   *
   * @param from - how many of them to pass over
   */
  async oldestStudies(
    source: string,
    { from, limit, before }: { readonly from: number; readonly limit: number; readonly before: number },
  ): Promise<{ readonly orthancStudyId: string; readonly record: StudyRecord | undefined }[]> {
    return this.#run(async () => {
      const key = redisKeys(this.#prefix).index(`studies-source:${source}`);
      const flat = await this.#redis.zrange(key, String(from), String(from + limit - 1), 'WITHSCORES');
      const members = flat.filter((_, at) => at % 2 === 0 && Number(flat[at + 1]) < before);
      const records = await this.#studies(members);
      return members.map((member, at) => ({
        orthancStudyId: member.slice(source.length + 1),
        record: records[at],
      }));
    });
  }

  /** Deliveries that are meant, the latest change first. One that changes meanwhile may be missed or come late. */
  async deliveries(selection: DeliverySelection & Limits): Promise<Found<DeliveryRecord>> {
    return this.pickDeliveries(selection, async (records) => records);
  }

  /**
   * What somebody makes of each delivery that is meant; what gets `undefined` does not count.
   *
   * @param pick - gets records in their order, those that are not meant any more as `undefined`
   */
  async pickDeliveries<T>(
    selection: DeliverySelection & Limits,
    pick: (records: readonly (DeliveryRecord | undefined)[]) => Promise<readonly (T | undefined)[]>,
  ): Promise<Found<T>> {
    const { limit, after } = selection;
    return this.#run(() =>
      collect(
        this.#index.search(selection, { after, batch: limit + 1 }),
        async (places) => pick(await this.#meant(places, selection)),
        selection,
      ),
    );
  }

  /** How many deliveries are meant. Reads no record. */
  async countDeliveries(selection: DeliverySelection): Promise<number> {
    return this.#run(() => this.#index.count(selection));
  }

  /** Ids of all deliveries that are meant, in batches, the latest change first. Reads no record. */
  async *deliveryIds(selection: DeliverySelection): AsyncGenerator<string[], void, undefined> {
    for await (const { found } of this.#index.search(selection, { batch: idsAtOnce })) {
      yield found.map(({ member }) => member);
    }
  }

  async counts(target?: string): Promise<Record<DeliveryState, number>> {
    return this.#run(() => this.#index.counts(target));
  }

  /** How many deliveries have an error, by target, state, stage and code. */
  async errors(selection: Pick<DeliverySelection, 'target' | 'state' | 'stage' | 'code'> = {}): Promise<ErrorGroup[]> {
    return this.#run(() => this.#index.errors(selection));
  }

  /** How many deliveries to a target wait although they may go: neither held nor outside their schedule. */
  async readyCount(target: string): Promise<number> {
    return this.#run(() => this.#index.ready(target));
  }

  /** Ids of deliveries to a target that wait since before a time although they may go, the oldest first. */
  async waitingLongest(target: string, before: number, limit: number, offset = 0): Promise<string[]> {
    return this.#run(() => this.#index.waitingLongest(target, before, limit, offset));
  }

  /** When the delivery that has been in a state for the longest time changed last (ms since 1970). */
  async oldestIn(state: DeliveryState, target?: string): Promise<number | undefined> {
    return this.#run(() => this.#index.oldestIn(state, target));
  }

  async studyCount(): Promise<number> {
    return this.#run(() => this.#redis.zcard(redisKeys(this.#prefix).index('studies')));
  }

  /** The timeline of a delivery, oldest first. */
  async events(id: string): Promise<DeliveryEvent[]> {
    const lines = await this.#run(() => this.#redis.lrange(redisKeys(this.#prefix).events(id), 0, -1));
    return lines.map((line) => JSON.parse(line) as DeliveryEvent);
  }

  /** The records of places, those that have changed so that they are not meant any more as undefined. */
  async #meant(places: readonly Place[], selection: DeliverySelection): Promise<(DeliveryRecord | undefined)[]> {
    const read = await this.#deliveries(places.map(({ member }) => member));
    const records = new Map(read.map((record) => [record.deliveryId as string, record]));
    return places.map(({ member }) => {
      const record = records.get(member);
      return record && isMeant(record, selection) ? record : undefined;
    });
  }

  async #studies(members: readonly string[]): Promise<(StudyRecord | undefined)[]> {
    if (members.length === 0) return [];
    const texts = await this.#redis.mget(members.map((member) => `${this.#prefix}:study:${member.replace(' ', ':')}`));
    return texts.map((text) => (text === null ? undefined : (JSON.parse(text) as StudyRecord)));
  }

  async #deliveries(ids: readonly string[]): Promise<DeliveryRecord[]> {
    if (ids.length === 0) return [];
    const pipeline = this.#redis.pipeline();
    for (const id of ids) pipeline.hgetall(this.#deliveryKey(id));
    const answers = await this.#run(() => pipeline.exec());
    return (answers ?? []).flatMap(([error, fields]) => {
      if (error) throw new DispatchError('ledger-unavailable', 'a delivery could not be read', { cause: error });
      return decodeDelivery(fields as Record<string, string>);
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

  get #uidsKey(): string {
    return redisKeys(this.#prefix).index('study-uids');
  }
  #studyKey(key: StudyKey): string {
    return redisKeys(this.#prefix).study(key.source, key.orthancStudyId);
  }
  #deliveriesKey(key: StudyKey): string {
    return redisKeys(this.#prefix).studyDeliveries(key.source, key.orthancStudyId);
  }
  #deliveryKey(id: string): string {
    return redisKeys(this.#prefix).delivery(id);
  }
}

function memberOf(key: StudyKey): string {
  return `${key.source} ${key.orthancStudyId}`;
}
