import { DispatchError } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { msOfTime } from '../redis/redis-time.ts';
import { damagedRecord, readable } from './damaged-record.ts';
import { decodeDelivery } from './delivery-codec.ts';
import { membersOfHash, membersOfUid } from './lookup.ts';
import { decodeData, decodeStudy } from './stored-form.ts';
import { readTimeline } from './timeline.ts';
import type { DeliveryEvent, DeliveryRecord, DeliveryState, StudyRecord, WakeKind } from './record-types.ts';

/**
 * A study is identified by its Orthanc id, which represents patient and study: two patients of one source may have the same
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

/** What a router reads of a delivery whose study is still being received. */
export type ArrivalState = Pick<DeliveryRecord, 'deliveryId' | 'arriving' | 'state' | 'wake'>;

/**
 * Reads records of studies and deliveries by their ids, UIDs and hashes. Every method throws DispatchError
 * `ledger-unavailable` if Redis fails, and `record-damaged` if a record that was asked for cannot be read, unless it
 * is documented otherwise. A damaged record is never treated as a missing one: the study may have been sent, and may have any UID.
 */
export class RecordReader {
  protected readonly redis: Redis;
  protected readonly prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.redis = redis;
    this.prefix = prefix;
  }

  /** The channel on which changes are published. */
  get channel(): string {
    return redisKeys(this.prefix).changes;
  }

  async delivery(id: string): Promise<DeliveryRecord | undefined> {
    return (await this.readDeliveries([id]))[0];
  }

  /** Whether a delivery waits for arriving instances: a few fields, because it is read for each announcement. */
  async arrival(id: string): Promise<ArrivalState | undefined> {
    const [data, state, wake] = await this.run(() => this.redis.hmget(this.deliveryKey(id), 'data', 'state', 'wake'));
    if (data === undefined || data === null) return undefined;
    const { arriving } = this.#whole(this.deliveryKey(id), () => decodeData(data, id));
    return {
      deliveryId: id,
      arriving,
      state: state as DeliveryState,
      wake: (wake ?? undefined) as WakeKind | undefined,
    };
  }

  async study(key: StudyKey): Promise<StudyRecord | undefined> {
    const text = await this.run(() => this.redis.get(this.studyKey(key)));
    return text === null ? undefined : this.#whole(this.studyKey(key), () => decodeStudy(text, key));
  }

  /** Several studies, in the given order. For a damaged record, its error: it must not stop the others. */
  async studiesById(source: string, ids: readonly string[]): Promise<(StudyRecord | DispatchError | undefined)[]> {
    return this.run(() => this.readStudies(ids.map((orthancStudyId) => memberOf({ source, orthancStudyId }))));
  }

  /**
   * All studies with a Study Instance UID, of one source or of all: more than one where patients share it.
   *
   * @throws DispatchError `record-damaged` if a record that may be one of them is damaged. Without it, a study could return to
   *   its origin, or replace another one of its UID at a target
   */
  async studiesOfUid(studyInstanceUid: string, source?: string): Promise<StudyRecord[]> {
    return (await this.#ofUid(studyInstanceUid, source)).map((study) => {
      if (study instanceof DispatchError) throw study;
      return study;
    });
  }

  /** Like {@link studiesOfUid}, for searches: those with a damaged record are omitted. */
  async findOfUid(studyInstanceUid: string): Promise<StudyRecord[]> {
    return readable(await this.#ofUid(studyInstanceUid)).filter((study) => study !== undefined);
  }

  /**
   * Studies that have one of these hashes: of several sources, or of one patient. At most `limit`. For searches: those with a
   * damaged record are omitted.
   */
  async studiesOfHashes(hashes: readonly string[], limit: number): Promise<StudyRecord[]> {
    const found = await this.run(async () => {
      const lists = await Promise.all(hashes.map((hash) => membersOfHash(this.redis, this.prefix, hash, limit)));
      const members = new Set(lists.flat());
      return this.readStudies([...members].slice(0, limit));
    });
    return readable(found).filter((study) =>
      study?.search?.hashes.some((one) => hashes.includes(one)),
    ) as StudyRecord[];
  }

  /** The deliveries of a study, the newest first: all of them, or at most `max`. */
  async deliveriesOf(key: StudyKey, max = Number.POSITIVE_INFINITY): Promise<DeliveryRecord[]> {
    const last = Number.isFinite(max) ? max - 1 : -1;
    return this.readDeliveries(await this.run(() => this.redis.zrevrange(this.deliveriesKey(key), 0, last)));
  }

  /** The deliveries of all studies of a source with a Study Instance UID. */
  async deliveriesOfUid(studyInstanceUid: string, source: string): Promise<DeliveryRecord[]> {
    const studies = await this.studiesOfUid(studyInstanceUid, source);
    return (await Promise.all(studies.map((study) => this.deliveriesOf(study)))).flat();
  }

  /** A delivery with requests of operators, at one point in time. */
  async look(id: string): Promise<LookedAt | undefined> {
    const [looked] = await this.lookAll([id]);
    if (looked instanceof DispatchError) throw looked;
    return looked;
  }

  /** Several deliveries, in the given order. For a damaged record, its error: it must not stop the others. */
  async lookAll(ids: readonly string[]): Promise<(LookedAt | DispatchError | undefined)[]> {
    if (ids.length === 0) return [];
    const keys = redisKeys(this.prefix);
    const transaction = this.redis.multi().time();
    for (const id of ids) transaction.hgetall(keys.delivery(id)).sismember(keys.held, id).exists(keys.cancelled(id));
    const [time, ...answers] = ((await this.run(() => transaction.exec())) ?? []).map(([error, answer]) => {
      if (error) throw new DispatchError('ledger-unavailable', 'a delivery could not be read', { cause: error });
      return answer;
    });
    const now = msOfTime(time as [string, string]);
    return ids.map((id, index) => {
      const [fields, held, cancelled] = answers.slice(3 * index, 3 * index + 3);
      let record: DeliveryRecord | undefined;
      try {
        [record] = decodeDelivery(fields as Record<string, string>, id);
      } catch (error) {
        return damagedRecord(keys.delivery(id), error);
      }
      const isHeld = held === 1 || (fields as Record<string, string>)['held'] !== undefined;
      return record && { record, isHeld, isCancelled: cancelled === 1, now };
    });
  }

  /** The timeline of a delivery, oldest first. */
  async events(id: string): Promise<DeliveryEvent[]> {
    const key = redisKeys(this.prefix).events(id);
    return this.run(() => readTimeline(this.redis, this.deliveryKey(id), key));
  }

  /** For a damaged record, its error. */
  protected async readStudies(members: readonly string[]): Promise<(StudyRecord | DispatchError | undefined)[]> {
    if (members.length === 0) return [];
    const studies = members.map(studyOfMember);
    const names = studies.map((study) => this.studyKey(study));
    const texts = await this.redis.mget(names);
    return studies.map((study, at) => {
      const text = texts[at];
      if (text === null || text === undefined) return undefined;
      try {
        return decodeStudy(text, study);
      } catch (error) {
        return damagedRecord(names[at] ?? '', error);
      }
    });
  }

  /** @param skipsDamaged - for lists: deliveries with a damaged record are omitted */
  protected async readDeliveries(ids: readonly string[], skipsDamaged = false): Promise<DeliveryRecord[]> {
    if (ids.length === 0) return [];
    // These commands are sent in one write even without a pipeline, for which ioredis would copy every script of BullMQ.
    const found = await this.run(() => Promise.all(ids.map((id) => this.redis.hgetall(this.deliveryKey(id)))));
    return found.flatMap((fields, at) => {
      const id = ids[at] ?? '';
      try {
        return decodeDelivery(fields, id);
      } catch (error) {
        if (skipsDamaged) return [];
        throw damagedRecord(this.deliveryKey(id), error);
      }
    });
  }

  /** Those that have the UID, and the errors of those that may have it. */
  async #ofUid(studyInstanceUid: string, source?: string): Promise<(StudyRecord | DispatchError)[]> {
    const found = await this.run(async () => {
      const members = await membersOfUid(this.redis, this.prefix, studyInstanceUid);
      return this.readStudies(members.filter((member) => source === undefined || member.startsWith(`${source} `)));
    });
    return found.filter(
      (study) => study !== undefined && (study instanceof DispatchError || study.studyInstanceUid === studyInstanceUid),
    ) as (StudyRecord | DispatchError)[];
  }

  #whole<T>(key: string, decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      throw damagedRecord(key, error);
    }
  }

  protected async run<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (error instanceof DispatchError) throw error;
      throw new DispatchError('ledger-unavailable', 'Redis did not answer for a record', { cause: error });
    }
  }

  protected studyKey(key: StudyKey): string {
    return redisKeys(this.prefix).study(key.source, key.orthancStudyId);
  }
  protected deliveriesKey(key: StudyKey): string {
    return redisKeys(this.prefix).studyDeliveries(key.source, key.orthancStudyId);
  }
  protected deliveryKey(id: string): string {
    return redisKeys(this.prefix).delivery(id);
  }
}

/** A study as a member of an index. */
export function memberOf(key: StudyKey): string {
  return `${key.source} ${key.orthancStudyId}`;
}

/** The study of {@link memberOf}. */
export function studyOfMember(member: string): StudyKey {
  const [source = '', orthancStudyId = ''] = member.split(' ');
  return { source, orthancStudyId };
}
