import type { DeliveryData, DispatchError } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { defineScript } from '../redis/script.ts';
import { damagedRecord } from './damaged-record.ts';
import { deliveryStates, endStates, type DeliveryState, type StudyRecord } from './record-types.ts';
import { lookupPlaces, uidBuckets, unlistedStudies, type LookupPlace } from './lookup.ts';
import { studyOfMember, type StudyKey } from './record-reader.ts';
import { decodeStudy, encodeData, readStoredForm } from './stored-form.ts';
import { foldTimeline } from './timeline.ts';

/**
 * Adds a delivery to all lists and indexes that match its record. Existing entries are preserved. Returns how many were
 * missing, -1 without a record, -2 with a damaged one.
 */
const mendDelivery = `${readStoredForm}
local prefix = ARGV[1]
local index = prefix .. ':index:'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function mend(id)
  local key = prefix .. ':delivery:' .. id
  local fields = redis.call('HMGET', key, 'data', 'state', 'updatedAt', 'since', 'wake', 'nextAttemptAt', 'error', 'failStage', 'held')
  if not fields[1] then return -1 end
  local data, state, wake = readable_data(fields[1], id), fields[2], fields[5]
  if not data or not state then return -2 end
  local at = fields[3] or string.format('%d', data.routedAt)
  local missed = 0
  local function add(name, score) missed = missed + redis.call('ZADD', name, 'NX', score, id) end
  add(prefix .. ':study-deliveries:' .. data.source .. ':' .. data.orthancStudyId, string.format('%d', data.routedAt))
  add(index .. 'state:' .. state, at)
  add(index .. 'target:' .. data.target .. ':' .. state, at)
  add(index .. 'source:' .. data.source, at)
  for _, rule in ipairs(data.rules) do add(index .. 'rule:' .. rule, at) end
  if state == 'waiting' or state == 'active' then
    if fields[9] then missed = missed + redis.call('SADD', prefix .. ':held', id)
    elseif redis.call('SISMEMBER', prefix .. ':held', id) == 1 then redis.call('HSET', key, 'held', '1') end
    add(index .. 'open', string.format('%d', math.max(tonumber(fields[6] or '0'), now)))
  end
  local isKeptBack = wake == 'person' or wake == 'schedule' or redis.call('SISMEMBER', prefix .. ':held', id) == 1
  if state == 'waiting' and not isKeptBack then add(index .. 'waiting:' .. data.target, fields[4] or at) end
  if fields[7] then
    -- One that cannot be read is in no index of errors.
    local isRead, error = pcall(cjson.decode, fields[7])
    if isRead and type(error) == 'table' then
      local name = table.concat({ data.target, state, fields[8] or error.stage, error.code }, ' ')
      add(index .. 'error:' .. name, at)
      missed = missed + redis.call('SADD', index .. 'errors', name)
    end
  end
  return missed
end
`;

/**
 * KEYS: study, deliveries of the study. ARGV: prefix, member of the index. Returns the study's record or '', how many
 * entries were missing, ids of deliveries without a record, and how many deliveries are listed.
 */
const mendStudyScript = defineScript(`${mendDelivery}
${lookupPlaces}
local member = ARGV[2]
local missed, lost = 0, {}
local listed = redis.call('ZRANGE', KEYS[2], 0, -1)
for _, id in ipairs(listed) do
  local count = mend(id)
  if count == -1 then table.insert(lost, id) elseif count > 0 then missed = missed + count end
end
local text = redis.call('GET', KEYS[1])
local study = text and readable_study(text)
if study then
  local at = string.format('%d', study.routedAt)
  local function add(name, score, one) missed = missed + redis.call('ZADD', index .. name, 'NX', score, one) end
  add('studies', at, member)
  add('studies-source:' .. string.match(member, '^(%S+) '), at, member)
  local function enter(bucket, field) missed = missed + redis.call('HSETNX', bucket, field, '') end
  enter(uid_place(study.studyInstanceUid, member))
  for _, rule in ipairs(study.rules) do add('studies-rule:' .. rule, at, member) end
  for _, hash in ipairs(study.search and study.search.hashes or {}) do enter(hash_place(hash, member)) end
end
return { text or '', missed, lost, #listed }
`);

/**
 * KEYS: study, deliveries of the study, index of studies, bucket of Study Instance UIDs. ARGV: member of the index of
 * studies, field of the bucket or ''. Adds a study with a record or deliveries to the index of studies if it is missing
 * there; removes one that has neither.
 * Returns 1 if it was added.
 */
const enterStudyScript = defineScript(`${readStoredForm}
if redis.call('EXISTS', KEYS[1], KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[3], ARGV[1])
  if ARGV[2] ~= '' then redis.call('HDEL', KEYS[4], ARGV[2]) end
  return 0
end
local text = redis.call('GET', KEYS[1])
local study = text and readable_study(text)
local at = study and string.format('%d', study.routedAt) or redis.call('TIME')[1] .. '000'
return redis.call('ZADD', KEYS[3], 'NX', at, ARGV[1])
`);

/**
 * KEYS: index of studies. ARGV: prefix, source, Orthanc ids of its studies. Adds those with a record or deliveries to the
 * index if it lacks them. Returns how many it lacked.
 */
const enterStudiesScript = defineScript(`${readStoredForm}
local entered = 0
for i = 3, #ARGV do
  local member = ARGV[2] .. ' ' .. ARGV[i]
  if not redis.call('ZSCORE', KEYS[1], member) then
    local text = redis.call('GET', ARGV[1] .. ':study:' .. ARGV[2] .. ':' .. ARGV[i])
    local study = text and readable_study(text)
    local at = study and string.format('%d', study.routedAt)
    if not study and (text or redis.call('EXISTS', ARGV[1] .. ':study-deliveries:' .. ARGV[2] .. ':' .. ARGV[i]) == 1) then
      at = redis.call('TIME')[1] .. '000'
    end
    if at then entered = entered + redis.call('ZADD', KEYS[1], at, member) end
  end
end
return entered
`);

/**
 * KEYS: index. ARGV: prefix, ids that were in the index. Returns how many entries were missing, the ids without a
 * record that are still in the index, and those with a damaged record.
 */
const mendDeliveriesScript = defineScript(`${mendDelivery}
local missed, lost, damaged = 0, {}, {}
for i = 2, #ARGV do
  local count = mend(ARGV[i])
  if count >= 0 then missed = missed + count
  elseif count == -2 then table.insert(damaged, ARGV[i])
  elseif redis.call('ZSCORE', KEYS[1], ARGV[i]) then table.insert(lost, ARGV[i]) end
end
return { missed, lost, damaged }
`);

/**
 * KEYS: delivery, its timeline. ARGV: prefix, id, stored form of its data, JSON of an event without its beginning, states
 * in which a delivery has ended. Writes the record of a delivery that is in the index of one of these as ended: it must
 * not start again. Returns the state, or ''.
 */
const restoreEndedScript = defineScript(`${readStoredForm}${foldTimeline}
local index, id = ARGV[1] .. ':index:', ARGV[2]
if redis.call('HEXISTS', KEYS[1], 'data') == 1 then return '' end
for i = 5, #ARGV do
  local state = ARGV[i]
  local at = redis.call('ZSCORE', index .. 'state:' .. state, id)
  if at then
    local data = data_of(ARGV[3], id)
    redis.call('HSET', KEYS[1], 'data', ARGV[3], 'state', state, 'updatedAt', at, 'endedAt', at, 'since', at)
    if state == 'delivered' then redis.call('HSET', KEYS[1], 'confirmed', string.format('%d', data.instanceCount)) end
    -- Which error it had is known only in part: a record without one stands in no index of errors.
    for _, name in ipairs(redis.call('SMEMBERS', index .. 'errors')) do redis.call('ZREM', index .. 'error:' .. name, id) end
    local time = redis.call('TIME')
    local now = string.format('%d', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
    redis.call('RPUSH', KEYS[2], '{"at":' .. now .. ',' .. ARGV[4])
    fold_timeline(KEYS[1], KEYS[2])
    redis.call('PUBLISH', ARGV[1] .. ':changes', data.source .. ' ' .. data.orthancStudyId)
    return state
  end
end
return ''
`);

/** Ended, and nothing more is to be sent. */
const unsentStates = ['cancelled', 'moved', 'resolved'] as const;

const endedText =
  'its record was missing in Redis, and was made again as ended: its errors, attempts and counts are not known any more';

export interface MendedStudy {
  /** Undefined: its record is missing. */
  readonly study: StudyRecord | undefined;
  /** Lists and indexes in which it or its deliveries were missing. */
  readonly missed: number;
  /** Ids of its deliveries that have no record. */
  readonly lost: readonly string[];
  /** How many deliveries its list has. */
  readonly listed: number;
}

/**
 * Repairs inconsistencies after the loss of a single key: a record, the list of a study's deliveries, an index. Each of
 * them can be restored from the others.
 */
export class RecordMender {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  /** How many studies and deliveries the indexes have. */
  async count(): Promise<{ readonly studies: number; readonly deliveries: number }> {
    const { index } = redisKeys(this.#prefix);
    const names = ['studies', ...deliveryStates.map((state) => `state:${state}`)];
    const [studies = 0, ...deliveries] = await Promise.all(names.map((name) => this.#redis.zcard(index(name))));
    return { studies, deliveries: deliveries.reduce((sum, some) => sum + some, 0) };
  }

  /** `count` studies from position `from`, in the order in which they were routed. */
  async studies(from: number, count: number): Promise<StudyKey[]> {
    const members = await this.#redis.zrange(
      redisKeys(this.#prefix).index('studies'),
      String(from),
      String(from + count - 1),
    );
    return members.map(studyOfMember);
  }

  /** Ids of `count` deliveries in a state from position `from`, the longest unchanged first. */
  async deliveries(state: string, from: number, count: number): Promise<string[]> {
    return this.#redis.zrange(redisKeys(this.#prefix).index(`state:${state}`), String(from), String(from + count - 1));
  }

  /**
   * @throws DispatchError `record-damaged` if the study has a record that cannot be read; its deliveries are entered in the
   *   indexes nevertheless
   */
  async mendStudy(key: StudyKey): Promise<MendedStudy> {
    const keys = redisKeys(this.#prefix);
    const { source, orthancStudyId } = key;
    const answer = await mendStudyScript.run(
      this.#redis,
      [keys.study(source, orthancStudyId), keys.studyDeliveries(source, orthancStudyId)],
      [this.#prefix, `${source} ${orthancStudyId}`],
    );
    const [text, missed, lost, listed] = answer as [string, number, string[], number];
    return { study: text === '' ? undefined : decoded(), missed, lost, listed };

    function decoded(): StudyRecord {
      try {
        return decodeStudy(text, key);
      } catch (error) {
        throw damagedRecord(keys.study(source, orthancStudyId), error);
      }
    }
  }

  /**
   * @param index - source of the ids: `state:STATE`, `open`
   * @returns `damaged`: errors of those whose record cannot be read
   */
  async mendDeliveries(
    index: string,
    ids: readonly string[],
  ): Promise<Pick<MendedStudy, 'missed' | 'lost'> & { readonly damaged: ReadonlyMap<string, DispatchError> }> {
    if (ids.length === 0) return { missed: 0, lost: [], damaged: new Map() };
    const key = redisKeys(this.#prefix).index(index);
    const answer = await mendDeliveriesScript.run(this.#redis, [key], [this.#prefix, ...ids]);
    const [missed, lost, damaged] = answer as [number, string[], string[]];
    const { delivery } = redisKeys(this.#prefix);
    return { missed, lost, damaged: new Map(damaged.map((id) => [id, damagedRecord(delivery(id), undefined)])) };
  }

  /**
   * Writes the record of an ended delivery from the indexes: its state, and since when. Its error is lost, and its
   * counts too, except for a delivered one.
   *
   * @returns its state; undefined if it had not ended, or has a record
   */
  async restoreEnded(data: DeliveryData): Promise<DeliveryState | undefined> {
    const keys = redisKeys(this.#prefix);
    const { deliveryId: id } = data;
    const event = JSON.stringify({ kind: 'noticed', text: endedText }).slice(1);
    const args = [this.#prefix, id, encodeData(data), event, ...endStates];
    const state = (await restoreEndedScript.run(this.#redis, [keys.delivery(id), keys.events(id)], args)) as string;
    return state === '' ? undefined : (state as DeliveryState);
  }

  /**
   * Adds studies that are in the index of Study Instance UIDs to the index of studies, if they are missing there.
   * Studies with neither a record nor deliveries are removed from both.
   *
   * @param from - where to continue in the index of UIDs
   * @param limit - about how many are compared
   * @returns how many were added, and where the next pass continues
   */
  async mendStudyIndex(from: number, limit: number): Promise<{ readonly entered: number; readonly next: number }> {
    const { unlisted, next } = await unlistedStudies(this.#redis, this.#prefix, from, limit);
    let entered = 0;
    for (const { member, ...place } of unlisted) if (await this.#enterStudy(member, place)) entered += 1;
    return { entered, next: next < uidBuckets ? next : 0 };
  }

  /**
   * Adds studies that their source lists, and that have a record or deliveries, to the index of studies.
   *
   * @returns how many the index lacked
   */
  async enterStudies(source: string, orthancStudyIds: readonly string[]): Promise<number> {
    if (orthancStudyIds.length === 0) return 0;
    const key = redisKeys(this.#prefix).index('studies');
    const args = [this.#prefix, source, ...orthancStudyIds];
    return (await enterStudiesScript.run(this.#redis, [key], args)) as number;
  }

  /** Removes a study from the index of studies unless it has a record or deliveries. */
  async leaveIndex({ source, orthancStudyId }: StudyKey): Promise<void> {
    await this.#enterStudy(`${source} ${orthancStudyId}`);
  }

  /** @returns whether it was added */
  async #enterStudy(member: string, place?: LookupPlace): Promise<boolean> {
    const keys = redisKeys(this.#prefix);
    const { source, orthancStudyId } = studyOfMember(member);
    const { index } = keys;
    const study = [keys.study(source, orthancStudyId), keys.studyDeliveries(source, orthancStudyId)];
    const answer = await enterStudyScript.run(
      this.#redis,
      [...study, index('studies'), place?.key ?? index('study-uids')],
      [member, place?.field ?? ''],
    );
    return answer === 1;
  }

  /**
   * Those of the deliveries that have ended as cancelled, moved or resolved, according to the indexes of states: without a
   * record they must not start again.
   */
  async endedUnsent(ids: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set(await this.#indexed(ids, (state) => `state:${state}`, unsentStates));
  }

  /** Those of the targets that have one of the deliveries, in any state, according to the indexes of targets. */
  async targetsOf(ids: readonly string[], targets: readonly string[]): Promise<ReadonlySet<string>> {
    const found = await Promise.all(
      targets.map((target) => this.#indexed(ids, (state) => `target:${target}:${state}`, deliveryStates)),
    );
    return new Set(targets.filter((_, at) => found[at]?.length));
  }

  /** Those of the ids that are in an index of one of the states. */
  async #indexed(
    ids: readonly string[],
    nameOf: (state: DeliveryState) => string,
    states: readonly DeliveryState[],
  ): Promise<string[]> {
    if (ids.length === 0) return [];
    const { index } = redisKeys(this.#prefix);
    const scores = await Promise.all(states.map((state) => this.#redis.zmscore(index(nameOf(state)), ...ids)));
    return ids.filter((_, at) => scores.some((list) => list[at] !== null));
  }

  /** Removes a delivery without a record that cannot be restored from the list of its study and the indexes of states. */
  async drop(key: StudyKey, id: string): Promise<void> {
    const keys = redisKeys(this.#prefix);
    const pipeline = this.#redis.pipeline();
    pipeline.zrem(keys.studyDeliveries(key.source, key.orthancStudyId), id);
    pipeline.zrem(keys.index('open'), id);
    for (const state of deliveryStates) pipeline.zrem(keys.index(`state:${state}`), id);
    await pipeline.exec();
  }
}
