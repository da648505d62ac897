import { defineScript } from '../redis/script.ts';

/** KEYS: circuit, probe lease. ARGV: now, length of the lease. */
export const checkScript = defineScript(`
local nextProbeAt = redis.call('HGET', KEYS[1], 'nextProbeAt')
if not nextProbeAt then return {'closed', 0} end
local left = tonumber(nextProbeAt) - tonumber(ARGV[1])
if left > 0 then return {'open', left} end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[2]) then return {'probe', 0} end
return {'open', 1000}
`);

/** KEYS: circuit, probe lease. ARGV: now, first pause, longest pause, error, pause that the target asked for. */
export const failScript = defineScript(`
local opened = redis.call('HSETNX', KEYS[1], 'openedAt', ARGV[1])
local now = tonumber(ARGV[1])
local nextProbeAt = tonumber(redis.call('HGET', KEYS[1], 'nextProbeAt') or '0')
redis.call('HSET', KEYS[1], 'error', ARGV[4])
-- Deliveries that were under way when it opened fail after one another: together they count as one failure.
if opened == 1 or nextProbeAt <= now then
  local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
  local pause = math.min(tonumber(ARGV[3]), tonumber(ARGV[2]) * 2 ^ math.min(failures - 1, 30))
  nextProbeAt = now + math.max(pause, tonumber(ARGV[5]))
  redis.call('HSET', KEYS[1], 'nextProbeAt', string.format('%d', nextProbeAt))
  redis.call('DEL', KEYS[2])
end
return {math.floor(nextProbeAt - now), opened}
`);

/** KEYS: circuit, probe lease. */
export const succeedScript = defineScript(`
redis.call('DEL', KEYS[2])
return redis.call('DEL', KEYS[1])
`);
