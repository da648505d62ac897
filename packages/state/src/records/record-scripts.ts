import { defineScript } from '../redis/script.ts';
import { lookupPlaces } from './lookup.ts';
import { readStoredForm } from './stored-form.ts';

/**
 * Writes a study and its new deliveries. A known delivery keeps its state: routing the same content
 * twice changes nothing.
 * KEYS: study, deliveries of the study, index of studies
 * ARGV: prefix, stored form of the study, member of the index, routedAt, '1' to preserve the record of a known study, '2'
 *   to write none, then for each delivery its id, the stored form of its data, and the id of the one that it replaces or ''
 */
export const routedScript = defineScript(`${readStoredForm}
local prefix, member, at = ARGV[1], ARGV[3], ARGV[4]
${lookupPlaces}
local index = prefix .. ':index:'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local known = redis.call('GET', KEYS[1])
if ARGV[5] == '2' then
  redis.call('ZADD', KEYS[3], 'NX', at, member)
elseif not known or ARGV[5] ~= '1' then
  if known then
    local before = study_of(known)
    for _, rule in ipairs(before.rules) do redis.call('ZREM', index .. 'studies-rule:' .. rule, member) end
    for _, hash in ipairs(before.search and before.search.hashes or {}) do
      redis.call('HDEL', hash_place(hash, member))
    end
  end
  local study = study_of(ARGV[2])
  for _, hash in ipairs(study.search and study.search.hashes or {}) do
    local bucket, field = hash_place(hash, member)
    redis.call('HSET', bucket, field, '')
  end
  redis.call('SET', KEYS[1], ARGV[2])
  redis.call('ZADD', KEYS[3], at, member)
  local bucket, field = uid_place(study.studyInstanceUid, member)
  redis.call('HSET', bucket, field, '')
  redis.call('ZADD', index .. 'studies-source:' .. string.match(member, '^(%S+) '), at, member)
  for _, rule in ipairs(study.rules) do redis.call('ZADD', index .. 'studies-rule:' .. rule, at, member) end
end
local added = 0
for i = 6, #ARGV, 3 do
  local id, data, replaces = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local key = prefix .. ':delivery:' .. id
  if redis.call('HSETNX', key, 'data', data) == 1 then
    local record = data_of(data, id)
    redis.call('HSET', key, 'state', 'waiting', 'wake', 'job', 'updatedAt', at, 'since', string.format('%d', now))
    if replaces ~= '' then redis.call('HSET', key, 'replaces', replaces) end
    redis.call('ZADD', index .. 'open', string.format('%d', now + 60000), id)
    if record.hold then
      redis.call('HSET', key, 'heldFromStart', '1', 'held', '1', 'wake', 'person', 'keptBackAt', string.format('%d', now))
      redis.call('SADD', prefix .. ':held', id)
    else
      redis.call('ZADD', index .. 'waiting:' .. record.target, string.format('%d', now), id)
    end
    redis.call('ZADD', KEYS[2], at, id)
    redis.call('ZADD', index .. 'state:waiting', at, id)
    redis.call('ZADD', index .. 'target:' .. record.target .. ':waiting', at, id)
    redis.call('ZADD', index .. 'source:' .. record.source, at, id)
    for _, rule in ipairs(record.rules) do redis.call('ZADD', index .. 'rule:' .. rule, at, id) end
    added = added + 1
  else
    -- Its list may have been lost.
    redis.call('ZADD', KEYS[2], 'NX', at, id)
  end
end
redis.call('PUBLISH', prefix .. ':changes', member)
return added
`);

/**
 * Replaces a study's record, if it is still that of the same study task.
 * KEYS: study
 * ARGV: study task id, stored form of the study
 */
export const enqueuedScript = defineScript(`${readStoredForm}
local known = redis.call('GET', KEYS[1])
if known and study_of(known).studyTaskId == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
`);

/**
 * Adds search hashes to a study's record, if it is still that of the same study task.
 * KEYS: study
 * ARGV: study task id, stored form of the study, member of the index, prefix
 */
export const searchableScript = defineScript(`${readStoredForm}
local prefix = ARGV[4]
${lookupPlaces}
local known = redis.call('GET', KEYS[1])
local before = known and study_of(known)
if not before or before.studyTaskId ~= ARGV[1] then return end
for _, hash in ipairs(before.search and before.search.hashes or {}) do redis.call('HDEL', hash_place(hash, ARGV[3])) end
redis.call('SET', KEYS[1], ARGV[2])
for _, hash in ipairs(study_of(ARGV[2]).search.hashes) do
  local bucket, field = hash_place(hash, ARGV[3])
  redis.call('HSET', bucket, field, '')
end
`);

/**
 * A study that was sent during reception is complete: its delivery now has a known content. Done once, and again for a
 * delivery that no rule wanted.
 * KEYS: delivery
 * ARGV: prefix, id, stored form of the data of the delivery, member of the index, number of its instances or ''
 */
export const wholeScript = defineScript(`${readStoredForm}
local text = redis.call('HGET', KEYS[1], 'data')
local before = text and data_of(text, ARGV[2])
if not before then return 0 end
if not before.arriving then
  local state, failed = unpack(redis.call('HMGET', KEYS[1], 'state', 'error'))
  local isRead, error = pcall(cjson.decode, failed or '')
  if state ~= 'cancelled' or not isRead or type(error) ~= 'table' or error.code ~= 'not-wanted' then return 0 end
end
for _, rule in ipairs(before.rules) do redis.call('ZREM', ARGV[1] .. ':index:rule:' .. rule, ARGV[2]) end
redis.call('HSET', KEYS[1], 'data', ARGV[3])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'total', ARGV[5]) end
local time = redis.call('TIME')
local at = string.format('%d', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
for _, rule in ipairs(data_of(ARGV[3], ARGV[2]).rules) do
  redis.call('ZADD', ARGV[1] .. ':index:rule:' .. rule, at, ARGV[2])
end
redis.call('PUBLISH', ARGV[1] .. ':changes', ARGV[4])
return 1
`);
