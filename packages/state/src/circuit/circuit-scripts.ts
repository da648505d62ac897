import { defineScript } from '../redis/script.ts';

/** All times are those of Redis, so that a dispatcher with a wrong clock changes nothing. */
const clock = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
`;

/**
 * KEYS: circuit, probe lease, waiting deliveries of the target. ARGV: duration of the lease (ms), delivery, how often
 * it may leave the probe to another one. Returns a verdict, and ms until the next check.
 */
export const checkScript = defineScript(`${clock}
local nextProbeAt = redis.call('HGET', KEYS[1], 'nextProbeAt')
if not nextProbeAt then return {'closed', 0} end
local left = tonumber(nextProbeAt) - now
if left > 0 then return {'open', left} end
-- The one that failed last may be what is wrong: another probes, if there is one.
if redis.call('HGET', KEYS[1], 'lastFailed') == ARGV[2] and redis.call('ZCARD', KEYS[3]) > 1
  and redis.call('HINCRBY', KEYS[1], 'yields', 1) <= tonumber(ARGV[3]) then return {'yield', 1000} end
if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[1]) then return {'probe', 0} end
return {'open', 1000}
`);

/**
 * KEYS: circuit, probe lease, deliveries that wait for it. ARGV: first pause, longest pause, error, pause requested by the
 * target, delivery.
 */
export const failScript = defineScript(`${clock}
local opened = redis.call('HSETNX', KEYS[1], 'openedAt', string.format('%d', now))
local nextProbeAt = tonumber(redis.call('HGET', KEYS[1], 'nextProbeAt') or '0')
redis.call('HSET', KEYS[1], 'error', ARGV[3], 'lastFailed', ARGV[5], 'yields', 0)
if ARGV[5] ~= '' then redis.call('SADD', KEYS[3], ARGV[5]) end
-- Deliveries that were under way when it opened fail after one another: together they count as one failure.
if opened == 1 or nextProbeAt <= now then
  local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
  local pause = math.min(tonumber(ARGV[2]), tonumber(ARGV[1]) * 2 ^ math.min(failures - 1, 30))
  nextProbeAt = now + math.max(pause, tonumber(ARGV[4]))
  redis.call('HSET', KEYS[1], 'nextProbeAt', string.format('%d', nextProbeAt))
  redis.call('DEL', KEYS[2])
end
return {math.floor(nextProbeAt - now), opened}
`);

/**
 * KEYS: circuit, probe lease, deliveries that wait for it, times of responses of targets. ARGV: target. Returns whether
 * it was open, and the waiting deliveries.
 */
export const succeedScript = defineScript(`${clock}
redis.call('HSET', KEYS[4], ARGV[1], string.format('%d', now))
redis.call('DEL', KEYS[2])
local waiting = redis.call('SMEMBERS', KEYS[3])
redis.call('DEL', KEYS[3])
return {redis.call('DEL', KEYS[1]), waiting}
`);

/** KEYS: circuit, probe lease. Returns all fields, whether a probe is running, and now. */
export const stateScript = defineScript(`${clock}
return {redis.call('HGETALL', KEYS[1]), redis.call('EXISTS', KEYS[2]), now}
`);

/** KEYS: circuit. Returns 1 if it is open. */
export const probeNowScript = defineScript(`${clock}
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'nextProbeAt', string.format('%d', now))
redis.call('HDEL', KEYS[1], 'lastFailed')
return 1
`);
