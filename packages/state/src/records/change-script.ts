import { defineScript } from '../redis/script.ts';
import { foldTimeline } from './timeline.ts';
import { readStoredForm } from './stored-form.ts';

/**
 * The only way to change the record of a delivery: checks, writes fields, moves the delivery between the indexes, adds an
 * event to its timeline. Times are those of Redis.
 *
 * The timeline of an ended delivery is a field of its record if it is short: a key costs more than its content. The next
 * event moves it back into its list. From the record of a delivered
 * one, fields are removed that have the values that readers use for missing ones.
 *
 * KEYS: delivery, events, index of open deliveries, held, cancelled, and with a fence its lock
 * ARGV: prefix, id, bytes to add, event JSON without its time or '', maximum length of the timeline, token or '',
 *   allowed states (',waiting,active,' or ''), guards (',a,b,'), intent or '', ms for which a cancellation is kept, then
 *   field and value pairs ('' removes; '+5000' is 5000 ms from now; 'arrived' is 'total' until the study is complete)
 * Returns: word, state afterwards, now, ms until it is due, losses, 1 if a cancel is requested.
 *
 * The age of a delivery does not grow while it is held or outside its schedule: `since` is moved by that time when it may
 * continue.
 *
 * The lock of an attempt is named in the value that the attempt wrote; all keys have one hash tag.
 */
export const changeScript = defineScript(`${readStoredForm}${foldTimeline}
local prefix, id, key = ARGV[1], ARGV[2], KEYS[1]
local index = prefix .. ':index:'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local text = redis.call('HGET', key, 'data')
if not text then return { 'missing', '', now, 0, 0, 0 } end
local cancelled = redis.call('EXISTS', KEYS[5])
local before = redis.call('HGET', key, 'state')
local function refuse(word, due)
  return { word, before, now, due or 0, tonumber(redis.call('HGET', key, 'losses') or '0'), cancelled }
end
if KEYS[6] and redis.call('GET', KEYS[6]) ~= ARGV[6] then return refuse('lock-lost') end
local function guarded(word) return string.find(ARGV[8], ',' .. word .. ',', 1, true) end
local isOpen = before == 'waiting' or before == 'active'
local to
for i = 11, #ARGV, 2 do if ARGV[i] == 'state' then to = ARGV[i + 1] end end
if ARGV[7] ~= '' then
  if not string.find(ARGV[7], ',' .. before .. ',', 1, true) then return refuse('state') end
elseif to and to ~= before and not isOpen then
  -- What has ended is changed by acts that name the states from which they may.
  return refuse('state')
end
local data = data_of(text, id)
-- The set of what is held is for lists; the record knows it, too.
local function isHeld()
  return redis.call('SISMEMBER', KEYS[4], id) == 1 or redis.call('HEXISTS', key, 'held') == 1
end
local function isAlive()
  if before ~= 'active' then return false end
  local held = redis.call('HMGET', key, 'lock', 'token')
  -- An earlier version did not name its lock.
  local lock = held[1] or prefix .. ':target-' .. data.target .. ':' .. id .. ':lock'
  local token = redis.call('GET', lock)
  -- Who asks under its own lock is about to begin: it is not under way.
  if not token or token == ARGV[6] then return false end
  return not held[2] or token == held[2]
end
if guarded('unless-alive') and isAlive() then return refuse('alive') end
if guarded('unless-elsewhere') and isAlive() then return refuse('elsewhere') end
if guarded('unless-cancelled') and cancelled == 1 then return refuse('cancelled') end
if guarded('unless-held') and isHeld() then return refuse('held') end
if guarded('when-due') then
  local due = tonumber(redis.call('HGET', key, 'nextAttemptAt') or '0')
  if due - now > 250 then return refuse('early', due - now) end
end
if guarded('unless-same') then
  local changes = false
  for i = 11, #ARGV, 2 do
    if (redis.call('HGET', key, ARGV[i]) or '') ~= ARGV[i + 1] then changes = true end
  end
  if not changes then return refuse('same') end
end
-- A script that has written may go on writing when Redis is out of memory. What ends an attempt does; what begins one must
-- not: it could not write down what the target confirms.
if guarded('even-without-memory') then redis.call('HDEL', key, '') end
if ARGV[9] == 'hold' then
  local wasHeld = isHeld()
  redis.call('SADD', KEYS[4], id)
  redis.call('HSET', key, 'held', '1')
  if wasHeld then return refuse('same') end
elseif ARGV[9] == 'release' then
  if not isHeld() then return refuse('same') end
  redis.call('SREM', KEYS[4], id)
  redis.call('HDEL', key, 'held')
elseif ARGV[9] == 'cancel' then
  redis.call('SET', KEYS[5], '1', 'PX', ARGV[10])
  redis.call('SREM', KEYS[4], id)
  redis.call('HDEL', key, 'held')
elseif ARGV[9] == 'retry' then
  redis.call('DEL', KEYS[5])
end
local function errorName()
  local failed = redis.call('HGET', key, 'error')
  if not failed then return nil end
  -- One that cannot be read is in no index of errors; the act continues.
  local isRead, error = pcall(cjson.decode, failed)
  if not isRead or type(error) ~= 'table' then return nil end
  local stage = redis.call('HGET', key, 'failStage') or error.stage
  return table.concat({ data.target, redis.call('HGET', key, 'state'), stage, error.code }, ' ')
end
local errorBefore = errorName()
if guarded('count-loss') and before == 'active' then redis.call('HINCRBY', key, 'losses', 1) end
for i = 11, #ARGV, 2 do
  local field, value = ARGV[i], ARGV[i + 1]
  local later = string.match(value, '^%+(%d+)$')
  if field == 'arrived' then
    if data.arriving then redis.call('HSET', key, 'total', value) end
  elseif value == '' then redis.call('HDEL', key, field)
  elseif later then redis.call('HSET', key, field, string.format('%d', now + tonumber(later)))
  else redis.call('HSET', key, field, value) end
end
if ARGV[3] ~= '0' then redis.call('HINCRBY', key, 'bytesSent', ARGV[3]) end
redis.call('HSET', key, 'updatedAt', string.format('%d', now))
local after = redis.call('HGET', key, 'state')
local at = string.format('%d', now)
if before ~= after then
  redis.call('ZREM', index .. 'state:' .. before, id)
  redis.call('ZREM', index .. 'target:' .. data.target .. ':' .. before, id)
  if before == 'active' then redis.call('HDEL', key, 'lock', 'token') end
end
if after == 'waiting' or after == 'active' then
  local due = tonumber(redis.call('HGET', key, 'nextAttemptAt') or '0')
  redis.call('ZADD', KEYS[3], string.format('%d', math.max(due, now) + 60000), id)
else
  redis.call('HDEL', key, 'wake', 'nextAttemptAt')
  redis.call('ZREM', KEYS[3], id)
end
local wake = redis.call('HGET', key, 'wake')
local isKeptBack = after == 'waiting'
  and (wake == 'person' or wake == 'schedule' or isHeld())
local keptBackAt = redis.call('HGET', key, 'keptBackAt')
local since = math.max(
  tonumber(redis.call('HGET', key, 'since') or data.routedAt), tonumber(redis.call('HGET', key, 'retriedAt') or '0'))
if keptBackAt and not isKeptBack then since = since + now - tonumber(keptBackAt) end
if not isOpen then since = now end
since = string.format('%d', math.min(now, since))
if isKeptBack then redis.call('HSETNX', key, 'keptBackAt', at)
elseif keptBackAt then redis.call('HDEL', key, 'keptBackAt') end
redis.call('HSET', key, 'since', since)
if after == 'waiting' and not isKeptBack then redis.call('ZADD', index .. 'waiting:' .. data.target, since, id)
else redis.call('ZREM', index .. 'waiting:' .. data.target, id) end
redis.call('ZADD', index .. 'state:' .. after, at, id)
redis.call('ZADD', index .. 'target:' .. data.target .. ':' .. after, at, id)
redis.call('ZADD', index .. 'source:' .. data.source, at, id)
for _, rule in ipairs(data.rules) do redis.call('ZADD', index .. 'rule:' .. rule, at, id) end
local errorAfter = errorName()
if errorBefore and errorBefore ~= errorAfter then redis.call('ZREM', index .. 'error:' .. errorBefore, id) end
if errorAfter then
  redis.call('ZADD', index .. 'error:' .. errorAfter, at, id)
  redis.call('SADD', index .. 'errors', errorAfter)
end
if ARGV[4] ~= '' then
  unfold_timeline(key, KEYS[2])
  redis.call('RPUSH', KEYS[2], '{"at":' .. at .. ',' .. string.sub(ARGV[4], 2))
  redis.call('LTRIM', KEYS[2], -tonumber(ARGV[5]), -1)
end
if after ~= 'waiting' and after ~= 'active' then fold_timeline(key, KEYS[2]) end
if after == 'delivered' and not data.arriving then
  local total, quarantined, stage = unpack(redis.call('HMGET', key, 'total', 'quarantined', 'stage'))
  if total and tonumber(total) == data.instanceCount then redis.call('HDEL', key, 'total') end
  if quarantined == '0' then redis.call('HDEL', key, 'quarantined') end
  if stage == 'finalize' then redis.call('HDEL', key, 'stage') end
  -- Its age does not matter any more: if it is opened again, it starts at that time.
  redis.call('HDEL', key, 'since')
end
redis.call('PUBLISH', prefix .. ':changes', data.source .. ' ' .. data.orthancStudyId)
return { 'done', after, now, 0, tonumber(redis.call('HGET', key, 'losses') or '0'), cancelled }
`);
