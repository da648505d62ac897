import { defineScript } from '../redis/script.ts';

const clock = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
`;

/**
 * Writes a new step, or, if requested, one that was completed before.
 * KEYS: task, index of open tasks. ARGV: id, data, ms until the next check, 1 to open a completed one again
 */
export const openScript = defineScript(`${clock}
local known = redis.call('HGET', KEYS[1], 'state')
if known and not (ARGV[4] == '1' and known == 'done') then
  -- Its index may have been lost.
  if known ~= 'done' then redis.call('ZADD', KEYS[2], 'NX', string.format('%d', now + tonumber(ARGV[3])), ARGV[1]) end
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'data', ARGV[2], 'state', 'waiting', 'updatedAt', string.format('%d', now))
redis.call('ZADD', KEYS[2], string.format('%d', now + tonumber(ARGV[3])), ARGV[1])
return 1
`);

/**
 * Changes a step that is not completed.
 * KEYS: task, index of open tasks. ARGV: id, state, ms until it is due or -1, ms until the next check, whether the
 * attempts count, then field and value pairs ('' removes). Returns 1, or 0 if it does not exist or is completed.
 */
export const changeTaskScript = defineScript(`${clock}
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == 'done' then return 0 end
redis.call('HDEL', KEYS[1], 'nextAttemptAt')
for i = 6, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i]) else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'updatedAt', string.format('%d', now))
if ARGV[2] == 'done' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 1
end
if ARGV[5] == '1' then redis.call('HINCRBY', KEYS[1], 'attempts', 1) end
local due = now
if ARGV[3] ~= '-1' then
  due = now + tonumber(ARGV[3])
  redis.call('HSET', KEYS[1], 'nextAttemptAt', string.format('%d', due))
end
redis.call('ZADD', KEYS[2], string.format('%d', due + tonumber(ARGV[4])), ARGV[1])
return 1
`);
