import { defineScript } from '../redis/script.ts';

/**
 * Writes a study and its new deliveries. A delivery that is known already keeps its state: routing the same content
 * twice changes nothing.
 * KEYS: study, deliveries of the study, index of studies, index of Study Instance UIDs
 * ARGV: prefix, study JSON, member of the index, routedAt, then id and JSON of each delivery
 */
export const routedScript = defineScript(`
local prefix, member, at = ARGV[1], ARGV[3], ARGV[4]
local index = prefix .. ':index:'
local known = redis.call('GET', KEYS[1])
if known then
  for _, rule in ipairs(cjson.decode(known).rules) do redis.call('ZREM', index .. 'studies-rule:' .. rule, member) end
end
local study = cjson.decode(ARGV[2])
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[3], at, member)
redis.call('ZADD', KEYS[4], 0, study.studyInstanceUid .. ' ' .. member)
redis.call('ZADD', index .. 'studies-source:' .. study.source, at, member)
for _, rule in ipairs(study.rules) do redis.call('ZADD', index .. 'studies-rule:' .. rule, at, member) end
local added = 0
for i = 5, #ARGV, 2 do
  local id, data = ARGV[i], ARGV[i + 1]
  local key = prefix .. ':delivery:' .. id
  if redis.call('HSETNX', key, 'data', data) == 1 then
    local record = cjson.decode(data)
    redis.call('HSET', key, 'state', 'waiting', 'updatedAt', at)
    redis.call('ZADD', KEYS[2], at, id)
    redis.call('ZADD', index .. 'state:waiting', at, id)
    redis.call('ZADD', index .. 'target:' .. record.target .. ':waiting', at, id)
    redis.call('ZADD', index .. 'waiting:' .. record.target, record.routedAt, id)
    redis.call('ZADD', index .. 'source:' .. record.source, at, id)
    for _, rule in ipairs(record.rules) do redis.call('ZADD', index .. 'rule:' .. rule, at, id) end
    added = added + 1
  end
end
redis.call('PUBLISH', prefix .. ':changes', member)
return added
`);

/**
 * Writes a study's record again, when it is still the one of the same study task.
 * KEYS: study
 * ARGV: study task id, study JSON
 */
export const enqueuedScript = defineScript(`
local known = redis.call('GET', KEYS[1])
if known and cjson.decode(known).studyTaskId == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
`);

/**
 * Changes fields of a delivery, moves it between the indexes, adds an event to its timeline.
 * KEYS: delivery, events, and with a fence its lock
 * ARGV: prefix, id, now, bytes to add, event JSON or '', longest timeline, token, then field and value pairs ('' removes)
 */
export const updateScript = defineScript(`
local prefix, id, now = ARGV[1], ARGV[2], ARGV[3]
local index = prefix .. ':index:'
if KEYS[3] and redis.call('GET', KEYS[3]) ~= ARGV[7] then return 0 end
local data = redis.call('HGET', KEYS[1], 'data')
if not data then return 0 end
local record = cjson.decode(data)
local function errorName()
  local text = redis.call('HGET', KEYS[1], 'error')
  if not text then return nil end
  local failed = cjson.decode(text)
  local stage = redis.call('HGET', KEYS[1], 'failStage') or failed.stage
  return table.concat({ record.target, redis.call('HGET', KEYS[1], 'state'), stage, failed.code }, ' ')
end
local before = redis.call('HGET', KEYS[1], 'state')
local errorBefore = errorName()
for i = 8, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i]) else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
if ARGV[4] ~= '0' then redis.call('HINCRBY', KEYS[1], 'bytesSent', ARGV[4]) end
redis.call('HSET', KEYS[1], 'updatedAt', now)
local after = redis.call('HGET', KEYS[1], 'state')
local errorAfter = errorName()
if before ~= after then
  redis.call('ZREM', index .. 'state:' .. before, id)
  redis.call('ZREM', index .. 'target:' .. record.target .. ':' .. before, id)
  if before == 'waiting' then redis.call('ZREM', index .. 'waiting:' .. record.target, id) end
  if after == 'waiting' then redis.call('ZADD', index .. 'waiting:' .. record.target, record.routedAt, id) end
end
redis.call('ZADD', index .. 'state:' .. after, now, id)
redis.call('ZADD', index .. 'target:' .. record.target .. ':' .. after, now, id)
redis.call('ZADD', index .. 'source:' .. record.source, now, id)
for _, rule in ipairs(record.rules) do redis.call('ZADD', index .. 'rule:' .. rule, now, id) end
if errorBefore and errorBefore ~= errorAfter then redis.call('ZREM', index .. 'error:' .. errorBefore, id) end
if errorAfter then
  redis.call('ZADD', index .. 'error:' .. errorAfter, now, id)
  redis.call('SADD', index .. 'errors', errorAfter)
end
if ARGV[5] ~= '' then
  redis.call('RPUSH', KEYS[2], ARGV[5])
  redis.call('LTRIM', KEYS[2], -tonumber(ARGV[6]), -1)
end
redis.call('PUBLISH', prefix .. ':changes', record.source .. ' ' .. record.orthancStudyId)
return 1
`);
