import { defineScript } from '../redis/script.ts';

/**
 * Writes entries while the lock is held. Answers 1, or 0 when the lock is another's.
 * KEYS: the shards, notes, details of the delivery for its receipt, and with a fence its lock
 * ARGV: token, then for each entry: shard, field, value ('' removes the entry, `-HASH` does if it is about that version),
 *   note or '', detail or ''
 */
export const writeScript = defineScript(`
local notes = KEYS[5]
if KEYS[7] and redis.call('GET', KEYS[7]) ~= ARGV[1] then return 0 end
local noted = redis.call('EXISTS', notes) == 1
for i = 2, #ARGV, 5 do
  local shard, field, value, note = KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if ARGV[i + 4] ~= '' then redis.call('HSET', KEYS[6], field, ARGV[i + 4]) end
  local isOther = false
  if string.sub(value, 1, 1) == '-' then
    local known = redis.call('HGET', shard, field)
    isOther = not known or string.sub(known, 3, 10) ~= string.sub(value, 2)
    value = ''
  end
  if not isOther then
    if value == '' then redis.call('HDEL', shard, field) else redis.call('HSET', shard, field, value) end
    if note ~= '' then
      redis.call('HSET', notes, field, note)
      noted = true
    elseif noted then
      redis.call('HDEL', notes, field)
    end
  end
end
return 1
`);

/** KEYS: the shards, notes. Answers the fields and values of each, in the same order. */
export const readScript = defineScript(`
local all = {}
for i, key in ipairs(KEYS) do all[i] = redis.call('HGETALL', key) end
return all
`);

/** KEYS: the shards. Answers how many are delivered, and how many quarantined. */
export const countScript = defineScript(`
local delivered, quarantined = 0, 0
for _, key in ipairs(KEYS) do
  for _, value in ipairs(redis.call('HVALS', key)) do
    if string.sub(value, 1, 1) == 'd' then delivered = delivered + 1 else quarantined = quarantined + 1 end
  end
end
return {delivered, quarantined}
`);

/** KEYS: the shards, notes. ARGV: fields that are meant, or none for all. Answers how many entries were removed. */
export const clearQuarantineScript = defineScript(`
local wanted = nil
for _, field in ipairs(ARGV) do
  wanted = wanted or {}
  wanted[field] = true
end
local removed = 0
for i = 1, 4 do
  local all = redis.call('HGETALL', KEYS[i])
  for j = 1, #all, 2 do
    if string.sub(all[j + 1], 1, 1) == 'q' and (not wanted or wanted[all[j]]) then
      removed = removed + redis.call('HDEL', KEYS[i], all[j])
      redis.call('HDEL', KEYS[5], all[j])
    end
  end
end
return removed
`);

/**
 * Takes confirmations back that still are what was read.
 * KEYS: the shards, notes. ARGV: for each its shard, field, version hash and time (base 36). Answers how many were taken back.
 */
export const takeBackScript = defineScript(`
local taken = 0
for i = 1, #ARGV, 4 do
  local shard, field = KEYS[tonumber(ARGV[i])], ARGV[i + 1]
  local known = redis.call('HGET', shard, field)
  if known then
    local hash, at = string.match(known, '^d (%S+) %S+ (%S+) ')
    if hash == ARGV[i + 2] and at == ARGV[i + 3] then
      redis.call('HDEL', shard, field)
      redis.call('HDEL', KEYS[5], field)
      taken = taken + 1
    end
  end
end
return taken
`);
