import type { DispatchError } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { redisNow } from '../redis/redis-time.ts';
import { collect, type Found, type Limits } from './collect.ts';
import { readable } from './damaged-record.ts';
import { isMeant } from './delivery-codec.ts';
import { DeliveryIndex, type DeliverySelection, type ErrorGroup } from './delivery-index.ts';
import { searchIndex } from './index-search.ts';
import { RecordReader } from './record-reader.ts';
import type { DeliveryRecord, DeliveryState, StudyRecord } from './record-types.ts';
import type { Place } from './walk-index.ts';

const idsAtOnce = 4_000;

/** Filter for studies. Omitted fields match everything. */
export interface StudySelection {
  readonly rule?: string | undefined;
  readonly source?: string | undefined;
  /** Routed at or after, and before (ms since 1970). */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/** Finds and counts records through the indexes. Lists omit damaged records, so that one does not hide the others. */
export class RecordSearch extends RecordReader {
  readonly #index: DeliveryIndex;

  constructor(redis: Redis, prefix: string) {
    super(redis, prefix);
    this.#index = new DeliveryIndex(redis, prefix);
  }

  /** Matching studies in the order of their routing, newest first. */
  async studies(selection: StudySelection & Limits): Promise<Found<StudyRecord>> {
    const { rule, source, since, until, after, limit } = selection;
    const index = redisKeys(this.prefix).index('studies');
    const parts = [
      ...(rule === undefined ? [] : [[`${index}-rule:${rule}`]]),
      ...(source === undefined ? [] : [[`${index}-source:${source}`]]),
    ];
    return this.run(() =>
      collect(
        searchIndex(this.redis, parts.length === 0 ? [[index]] : parts, {
          lowest: since,
          below: until,
          after,
          batch: limit + 1,
        }),
        async (places) => readable(await this.readStudies(places.map(({ member }) => member))),
        selection,
      ),
    );
  }

  /**
   * Studies of a source that were routed before a time, the oldest first; for a damaged record, its error.
   *
   * @param from - how many of them to skip
   */
  async oldestStudies(
    source: string,
    { from, limit, before }: { readonly from: number; readonly limit: number; readonly before: number },
  ): Promise<{ readonly orthancStudyId: string; readonly record: StudyRecord | DispatchError | undefined }[]> {
    return this.run(async () => {
      const key = redisKeys(this.prefix).index(`studies-source:${source}`);
      const flat = await this.redis.zrange(key, String(from), String(from + limit - 1), 'WITHSCORES');
      const members = flat.filter((_, at) => at % 2 === 0 && Number(flat[at + 1]) < before);
      const records = await this.readStudies(members);
      return members.map((member, at) => ({
        orthancStudyId: member.slice(source.length + 1),
        record: records[at],
      }));
    });
  }

  /** Matching deliveries, latest change first. One that changes meanwhile may be missing or appear later. */
  async deliveries(selection: DeliverySelection & Limits): Promise<Found<DeliveryRecord>> {
    return this.pickDeliveries(selection, async (records) => records);
  }

  /**
   * Maps each matching delivery; results that are `undefined` are not counted.
   *
   * @param pick - receives records in their order, those that no longer match as `undefined`
   */
  async pickDeliveries<T>(
    selection: DeliverySelection & Limits,
    pick: (records: readonly (DeliveryRecord | undefined)[]) => Promise<readonly (T | undefined)[]>,
  ): Promise<Found<T>> {
    const { limit, after } = selection;
    return this.run(() =>
      collect(
        this.#index.search(selection, { after, batch: limit + 1 }),
        async (places) => pick(await this.#meant(places, selection)),
        selection,
      ),
    );
  }

  /** Number of matching deliveries. Reads no records. */
  async countDeliveries(selection: DeliverySelection): Promise<number> {
    return this.run(() => this.#index.count(selection));
  }

  /** Ids of all matching deliveries, in batches, latest change first. Reads no records. */
  async *deliveryIds(selection: DeliverySelection): AsyncGenerator<string[], void, undefined> {
    for await (const { found } of this.#index.search(selection, { batch: idsAtOnce })) {
      yield found.map(({ member }) => member);
    }
  }

  async counts(target?: string): Promise<Record<DeliveryState, number>> {
    return this.run(() => this.#index.counts(target));
  }

  /** How many deliveries have an error, by target, state, stage and code. */
  async errors(selection: Pick<DeliverySelection, 'target' | 'state' | 'stage' | 'code'> = {}): Promise<ErrorGroup[]> {
    return this.run(() => this.#index.errors(selection));
  }

  /** Number of deliveries to a target that wait neither for an operator nor for their schedule. */
  async readyCount(target: string): Promise<number> {
    return this.run(() => this.#index.ready(target));
  }

  /**
   * Ids of the deliveries of {@link readyCount} that have waited since before a time (ms since 1970), the oldest first.
   */
  async waitingLongest(target: string, before: number, limit: number, offset = 0): Promise<string[]> {
    return this.run(() => this.#index.waitingLongest(target, before, limit, offset));
  }

  /**
   * The earliest time of the last change among the deliveries in a state (ms since 1970); undefined if there are none.
   */
  async oldestIn(state: DeliveryState, target?: string): Promise<number | undefined> {
    return this.run(() => this.#index.oldestIn(state, target));
  }

  async studyCount(): Promise<number> {
    return this.run(() => this.redis.zcard(redisKeys(this.prefix).index('studies')));
  }

  /** Open deliveries that are due for a check by reconciliation, longest overdue first. */
  async toBeLookedAt(limit: number): Promise<string[]> {
    const key = redisKeys(this.prefix).index('open');
    return this.run(async () =>
      this.redis.zrangebyscore(key, '-inf', await redisNow(this.redis, this.prefix), 'LIMIT', 0, limit),
    );
  }

  /** The records of places; those that no longer match as undefined. */
  async #meant(places: readonly Place[], selection: DeliverySelection): Promise<(DeliveryRecord | undefined)[]> {
    const read = await this.readDeliveries(
      places.map(({ member }) => member),
      true,
    );
    const records = new Map(read.map((record) => [record.deliveryId as string, record]));
    return places.map(({ member }) => {
      const record = records.get(member);
      return record && isMeant(record, selection) ? record : undefined;
    });
  }
}
