import { defineScript } from '../redis/script.ts';

/**
 * KEYS: generation, beats, processes, process.
 * ARGV: process, the last beat that Redis has confirmed, the beat that is sent now, known id, known count, id for a new one,
 * data of the process, ms for which they are kept.
 *
 * The result begins with TIME and a verdict. A loss is recorded immediately, so that every process sees it.
 */
export const beatScript = defineScript(`
local time = redis.call('TIME')
local found = redis.call('HMGET', KEYS[1], 'id', 'count', 'lost', 'recovers', 'remembered', 'asks')
local id, count, lost = found[1], tonumber(found[2] or '0'), found[3]
local recovers, remembered = found[4] or '', found[5] or ''
local known = ARGV[4]
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function answer(verdict)
  return {time[1], time[2], verdict, id or '', count, lost or '', found[6] or ''}
end
redis.call('SET', KEYS[4], ARGV[7], 'PX', ARGV[8])
redis.call('ZADD', KEYS[3], string.format('%d', now), ARGV[1])
if lost then
  if known ~= '' and not string.find(remembered, known, 1, true) then
    redis.call('HSET', KEYS[1], 'remembered', remembered .. ' ' .. known)
  end
  return answer('lost')
end
local kind
local verdict = 'good'
if known == '' then
  if not id then
    id = ARGV[6]
    redis.call('HSET', KEYS[1], 'id', id, 'startedAt', time[1] .. string.sub('00000' .. time[2], -6, -4))
    verdict = 'first'
  end
elseif not id then
  kind = 'gone'
elseif id ~= known then
  if string.find(recovers, known, 1, true) then verdict = 'recovered' else kind = 'another' end
else
  local own = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
  if count < tonumber(ARGV[5]) or own < tonumber(ARGV[2]) or own > tonumber(ARGV[3]) then kind = 'older' end
end
if kind then
  lost = cjson.encode({kind = kind, at = now, by = ARGV[1]})
  redis.call('HSET', KEYS[1], 'lost', lost, 'remembered', remembered .. ' ' .. known)
  return answer(kind)
end
count = redis.call('HINCRBY', KEYS[1], 'count', 1)
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
if count % 500 == 0 then
  local ended = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - 604800000, 'LIMIT', 0, 500)
  if #ended > 0 then
    redis.call('HDEL', KEYS[2], unpack(ended))
    redis.call('ZREM', KEYS[3], unpack(ended))
  end
end
return answer(verdict)
`);

/**
 * KEYS: generation, beats. ARGV: known id, known count, process, the last beat that Redis has confirmed. Compares as
 * {@link beatScript} does, and changes nothing: used if Redis rejects writes (out of memory), and between two beats.
 */
export const lookScript = defineScript(`
local time = redis.call('TIME')
local found = redis.call('HMGET', KEYS[1], 'id', 'count', 'lost', 'recovers', 'asks')
local verdict = 'good'
if found[3] then verdict = 'lost'
elseif ARGV[1] ~= '' and not found[1] then verdict = 'lost'
elseif ARGV[1] ~= '' and found[1] ~= ARGV[1] then
  if not string.find(found[4] or '', ARGV[1], 1, true) then verdict = 'lost' end
elseif ARGV[1] ~= '' then
  local own = tonumber(redis.call('HGET', KEYS[2], ARGV[3]) or '0')
  if tonumber(found[2] or '0') < tonumber(ARGV[2]) or own < tonumber(ARGV[4]) then verdict = 'lost' end
end
return {time[1], time[2], verdict, found[1] or '', tonumber(found[2] or '0'), found[3] or '', found[5] or ''}
`);

/**
 * KEYS: generation, beats, lock. ARGV: token of the lock, id of the new generation, report as JSON.
 * Ends a loss: processes that remember one of the former ids continue with the new one.
 */
export const recoverScript = defineScript(`
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end
local found = redis.call('HMGET', KEYS[1], 'lost', 'id', 'count', 'recovers', 'remembered')
if not found[1] then return 0 end
local recovers = (found[4] or '') .. ' ' .. (found[2] or '') .. (found[5] or '')
local time = redis.call('TIME')
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'id', ARGV[2], 'count', tonumber(found[3] or '0') + 1, 'report', ARGV[3],
  'recovers', string.sub(recovers, -1900), 'startedAt', string.format('%d', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)))
redis.call('HDEL', KEYS[1], 'lost', 'remembered', 'asks', 'answer')
redis.call('DEL', KEYS[3])
return 1
`);
