import type { DeliveryData } from '@dicom-dispatch/core';
import { redisKeys } from '../keys/redis-keys.ts';
import { redisNow } from '../redis/redis-time.ts';
import { changeDelivery, type Changed, type DeliveryChange } from './change-delivery.ts';
import { memberOf } from './record-reader.ts';
import { RecordSearch } from './record-search.ts';
import { enqueuedScript, routedScript, searchableScript, wholeScript } from './record-scripts.ts';
import type { DeliveryEvent, DeliveryPatch, StudyRecord } from './record-types.ts';
import type { SearchHashes } from './search-hash.ts';
import { encodeData, encodeStudy } from './stored-form.ts';

/**
 * Studies and deliveries as operators see them, stored in Redis beside the queues. BullMQ's jobs may be removed; these
 * records stay. Every change is published on `<prefix>:changes` as `source orthancStudyId`.
 */
export class Records extends RecordSearch {
  /**
   * Writes the record of a study, and those of its new deliveries; a known delivery keeps its state.
   *
   * @param deliveries - `replaces`: id of the delivery that a new one replaces
   * @param keepsStudy - the record of a known study is preserved
   * @returns how many of the deliveries are new
   */
  async routed(
    study: StudyRecord,
    deliveries: readonly (DeliveryData & { readonly replaces?: string })[],
    { keepsStudy = false }: { readonly keepsStudy?: boolean } = {},
  ): Promise<number> {
    return this.#routed(study, deliveries, keepsStudy ? '1' : '');
  }

  /**
   * Writes the lost record of a delivery again. A lost record of its study is not written: its other targets are
   * unknown here.
   *
   * @returns 0 if the delivery has a record
   */
  async restored(study: StudyRecord, delivery: DeliveryData): Promise<number> {
    return this.#routed(study, [delivery], '2');
  }

  async #routed(
    study: StudyRecord,
    deliveries: readonly (DeliveryData & { readonly replaces?: string })[],
    kept: '' | '1' | '2',
  ): Promise<number> {
    const args = deliveries.flatMap(({ replaces = '', ...data }) => [data.deliveryId, encodeData(data), replaces]);
    return this.run(async () =>
      Number(
        await routedScript.run(
          this.redis,
          [this.studyKey(study), this.deliveriesKey(study), redisKeys(this.prefix).index('studies')],
          [this.prefix, encodeStudy(study), memberOf(study), study.routedAt, kept, ...args],
        ),
      ),
    );
  }

  /**
   * Records that all deliveries of a study are queued: from now on a sweep treats its content at `lastUpdate` as
   * routed. Before this, the router may have crashed between the record and the jobs.
   */
  async enqueued(study: StudyRecord): Promise<void> {
    const text = encodeStudy(study);
    await this.run(() => enqueuedScript.run(this.redis, [this.studyKey(study)], [study.studyTaskId, text]));
  }

  /** Adds the hashes by which it is found to a study that was routed without them, or with another key. */
  async makeSearchable(study: StudyRecord, search: SearchHashes): Promise<void> {
    await this.run(() =>
      searchableScript.run(
        this.redis,
        [this.studyKey(study)],
        [study.studyTaskId, encodeStudy({ ...study, search }), memberOf(study), this.prefix],
      ),
    );
  }

  /**
   * Converts a delivery that was begun during reception, or that no rule wanted (`not-wanted`), to one of the complete study.
   *
   * @param total - number of its instances; if omitted, the known number is kept
   * @returns false if it is one already, or does not exist
   */
  async whole(delivery: DeliveryData, total?: number): Promise<boolean> {
    const { deliveryId } = delivery;
    const args = [this.prefix, deliveryId, encodeData(delivery), memberOf(delivery), total ?? ''];
    return this.run(async () => (await wholeScript.run(this.redis, [this.deliveryKey(deliveryId)], args)) === 1);
  }

  /**
   * Changes shown properties of a delivery.
   *
   * @param fence - nothing is written if another worker has its lock
   * @returns false if the delivery does not exist, or nothing was written
   */
  async update(
    id: string,
    patch: DeliveryPatch,
    event?: Omit<DeliveryEvent, 'at'>,
    fence?: { readonly lockKey: string; readonly token: string },
  ): Promise<boolean> {
    return (await this.change(id, { patch, event, fence })).kind === 'done';
  }

  /** Executes one act on a delivery, or rejects it; see `docs/delivery-life.md`. */
  change(id: string, change: DeliveryChange): Promise<Changed> {
    return this.run(() => changeDelivery(this.redis, this.prefix, id, change));
  }

  /** Sets when reconciliation checks a delivery again; undefined removes one that is no longer open from the index. */
  async lookAgain(id: string, inMs: number | undefined): Promise<void> {
    const key = redisKeys(this.prefix).index('open');
    await this.run(async () => {
      if (inMs === undefined) return this.redis.zrem(key, id);
      return this.redis.zadd(key, 'XX', (await redisNow(this.redis, this.prefix)) + Math.ceil(inMs), id);
    });
  }

  /**
   * Adds open deliveries that are missing in the index of open deliveries, e.g. because an earlier version wrote them.
   *
   * @returns whether any were missing
   */
  async rebuildOpenIndex(): Promise<boolean> {
    const { index } = redisKeys(this.prefix);
    const [open, waiting, active] = [index('open'), index('state:waiting'), index('state:active')];
    return this.run(async () => {
      const counts = (await this.redis.multi().zcard(open).zcard(waiting).zcard(active).exec()) ?? [];
      const [known = 0, ...others] = counts.map(([, count]) => Number(count));
      if (known === others.reduce((sum, count) => sum + count, 0)) return false;
      await this.redis.zunionstore(open, 3, open, waiting, active, 'WEIGHTS', 1, 0, 0, 'AGGREGATE', 'MAX');
      return true;
    });
  }
}
