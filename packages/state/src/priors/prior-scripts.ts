import { defineScript } from '../redis/script.ts';

const clock = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
`;

/**
 * Writes a new step, due immediately.
 * KEYS: steps of the study, index of open steps. ARGV: id, JSON without its times, ms that the study waits or '', member
 * Returns the JSON of the current step.
 */
export const openScript = defineScript(`${clock}
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then return known end
local text = '{"openedAt":' .. string.format('%d', now)
if ARGV[3] ~= '' then text = text .. ',"waitUntil":' .. string.format('%d', now + tonumber(ARGV[3])) end
text = text .. ',' .. string.sub(ARGV[2], 2)
redis.call('HSET', KEYS[1], ARGV[1], text)
redis.call('ZADD', KEYS[2], string.format('%d', now), ARGV[4])
return text
`);

/**
 * Takes the step with the earliest due time, for a limited time.
 * KEYS: index of open steps. ARGV: token, ms, prefix
 * Returns the JSON of the step, or nothing.
 */
export const claimScript = defineScript(`${clock}
for _ = 1, 100 do
  local member = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%d', now), 'LIMIT', 0, 1)[1]
  if not member then return false end
  local source, study, id = string.match(member, '^(%S+) (%S+) (%S+)$')
  local steps = ARGV[3] .. ':priors:' .. source .. ':' .. study
  local text = redis.call('HGET', steps, id)
  if text then
    redis.call('ZADD', KEYS[1], string.format('%d', now + tonumber(ARGV[2])), member)
    redis.call('HSET', steps, id .. ' lock', ARGV[1])
    return text
  end
  redis.call('ZREM', KEYS[1], member)
end
return false
`);

/**
 * Extends the time of a taken step. KEYS: steps of the study, index of open steps. ARGV: id, token, ms, member
 * Returns 0 if another process has it.
 */
export const renewScript = defineScript(`${clock}
if redis.call('HGET', KEYS[1], ARGV[1] .. ' lock') ~= ARGV[2] then return 0 end
redis.call('ZADD', KEYS[2], 'XX', string.format('%d', now + tonumber(ARGV[3])), ARGV[4])
return 1
`);

/**
 * Writes the progress of a step, unless another process has taken it.
 * KEYS: steps of the study, index of open steps, channel of changes
 * ARGV: id, token, member, JSON or '' to remove it, ms until it is due again ('' keeps its lease, 'end' ends it)
 */
export const saveScript = defineScript(`${clock}
local lock = ARGV[1] .. ' lock'
if redis.call('HGET', KEYS[1], lock) ~= ARGV[2] then return 0 end
if ARGV[4] == '' then redis.call('HDEL', KEYS[1], ARGV[1], ARGV[1] .. ' without')
else redis.call('HSET', KEYS[1], ARGV[1], ARGV[4]) end
if ARGV[5] == 'end' or ARGV[4] == '' then
  redis.call('ZREM', KEYS[2], ARGV[3])
  redis.call('HDEL', KEYS[1], lock)
elseif ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[2], string.format('%d', now + tonumber(ARGV[5])), ARGV[3])
  redis.call('HDEL', KEYS[1], lock)
end
redis.call('PUBLISH', KEYS[3], string.match(ARGV[3], '^(%S+ %S+) '))
return 1
`);
