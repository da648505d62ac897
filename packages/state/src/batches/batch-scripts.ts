import { defineScript } from '../redis/script.ts';

/**
 * KEYS: batch, remaining studies, open batches. ARGV: states from which it may change (',a,b,'), state, ms for which an
 * ended one is kept, id.
 */
export const changeBatchScript = defineScript(`
local before = redis.call('HGET', KEYS[1], 'state')
if not before or not string.find(ARGV[1], ',' .. before .. ',', 1, true) then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[2])
if ARGV[2] == 'cancelled' then
  redis.call('HSET', KEYS[1], 'endedAt', redis.call('TIME')[1] .. '000')
  redis.call('UNLINK', KEYS[2])
  redis.call('SREM', KEYS[3], ARGV[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
`);

/**
 * KEYS: batch, remaining studies, open batches. ARGV: study, name of the counter, problem or '', ms for which an ended one
 * is kept, id.
 */
export const studyDoneScript = defineScript(`
if redis.call('LINDEX', KEYS[2], 0) ~= ARGV[1] then return end
redis.call('LPOP', KEYS[2])
redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'problem', ARGV[3]) end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local rate = tonumber(redis.call('HGET', KEYS[1], 'rate') or '0')
if rate > 0 then redis.call('HSET', KEYS[1], 'nextAt', string.format('%d', now + math.floor(60000 / rate))) end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('HSET', KEYS[1], 'state', 'done', 'endedAt', string.format('%d', now))
  redis.call('SREM', KEYS[3], ARGV[5])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
`);

/**
 * KEYS: batch, remaining studies, open batches. ARGV: problem, ms for which an ended one is kept, id. Ends a running
 * batch without remaining studies, although its last study would have ended it: its list was lost.
 */
export const endLostScript = defineScript(`
if redis.call('HGET', KEYS[1], 'state') ~= 'running' or redis.call('EXISTS', KEYS[2]) == 1 then return end
redis.call('HSET', KEYS[1], 'state', 'done', 'endedAt', redis.call('TIME')[1] .. '000', 'problem', ARGV[1])
redis.call('SREM', KEYS[3], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
`);

/** KEYS: open batches, then batches. ARGV: their ids. Adds those that have not ended to the open batches. */
export const enterOpenScript = defineScript(`
for i = 2, #KEYS do
  local state = redis.call('HGET', KEYS[i], 'state')
  if state == 'running' or state == 'paused' then redis.call('SADD', KEYS[1], ARGV[i - 1]) end
end
`);
