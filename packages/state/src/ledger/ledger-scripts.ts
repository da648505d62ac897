import { defineScript } from '../redis/script.ts';

/**
 * Writes entries while the lock is held. Returns 1, 0 if another job has the lock, or 2, with nothing written, if entries
 * are to be removed from a folded ledger.
 * KEYS: the shards, notes, folded, details of the delivery for its receipt, and with a fence its lock
 * ARGV: token, then for each entry: shard, field, value ('' removes the entry, `-HASH` does so if it has that version),
 *   note or '', detail or ''
 */
export const writeScript = defineScript(`
local notes = KEYS[5]
if KEYS[8] and redis.call('GET', KEYS[8]) ~= ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[6]) == 1 then
  for i = 4, #ARGV, 5 do
    if ARGV[i] == '' or string.sub(ARGV[i], 1, 1) == '-' then return 2 end
  end
end
local noted = redis.call('EXISTS', notes) == 1
for i = 2, #ARGV, 5 do
  local shard, field, value, note = KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if ARGV[i + 4] ~= '' then redis.call('HSET', KEYS[7], field, ARGV[i + 4]) end
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

/** KEYS: the shards, notes, folded. Returns the fields and values of each hash, in the same order, then the folded value. */
export const readScript = defineScript(`
local all = {}
for i = 1, 5 do all[i] = redis.call('HGETALL', KEYS[i]) end
all[6] = redis.call('GET', KEYS[6])
return all
`);

/**
 * Moves entries of the hashes into the folded ledger. An entry that has changed meanwhile stays in its hash, where it takes
 * precedence over the folded one. Returns 0, with nothing changed, if the folded ledger has changed, or if one of the
 * entries was removed.
 * KEYS: the shards, notes, folded
 * ARGV: folded before ('' for none), folded now, then for each entry of the hashes that it includes: shard, field, value,
 * note
 */
export const foldScript = defineScript(`
if (redis.call('GET', KEYS[6]) or '') ~= ARGV[1] then return 0 end
for i = 3, #ARGV, 4 do
  if redis.call('HEXISTS', KEYS[tonumber(ARGV[i])], ARGV[i + 1]) == 0 then return 0 end
end
redis.call('SET', KEYS[6], ARGV[2])
for i = 3, #ARGV, 4 do
  local shard, field = KEYS[tonumber(ARGV[i])], ARGV[i + 1]
  if redis.call('HGET', shard, field) == ARGV[i + 2] and (redis.call('HGET', KEYS[5], field) or '') == ARGV[i + 3] then
    redis.call('HDEL', shard, field)
    redis.call('HDEL', KEYS[5], field)
  end
end
return 1
`);

/**
 * Moves folded entries back into the hashes, unless these have newer ones. Returns 0, with nothing changed, if the
 * folded ledger has changed.
 * KEYS: the shards, notes, folded
 * ARGV: folded before, '1' to remove it, then for each entry: shard, field, value, note
 */
export const unfoldScript = defineScript(`
if redis.call('GET', KEYS[6]) ~= ARGV[1] then return 0 end
for i = 3, #ARGV, 4 do
  local field = ARGV[i + 1]
  if redis.call('HSETNX', KEYS[tonumber(ARGV[i])], field, ARGV[i + 2]) == 1 and ARGV[i + 3] ~= '' then
    redis.call('HSET', KEYS[5], field, ARGV[i + 3])
  end
end
if ARGV[2] == '1' then redis.call('DEL', KEYS[6]) end
return 1
`);

/**
 * KEYS: the shards, notes, folded. ARGV: fields to remove, or none for all. Returns how many entries were removed. An
 * 'x' in place of one means that the folded entry of its field does not count either.
 */
export const clearQuarantineScript = defineScript(`
local wanted = nil
for _, field in ipairs(ARGV) do
  wanted = wanted or {}
  wanted[field] = true
end
local isFolded = redis.call('EXISTS', KEYS[6]) == 1
local removed = 0
for i = 1, 4 do
  local all = redis.call('HGETALL', KEYS[i])
  for j = 1, #all, 2 do
    if string.sub(all[j + 1], 1, 1) == 'q' and (not wanted or wanted[all[j]]) then
      removed = removed + 1
      if isFolded then redis.call('HSET', KEYS[i], all[j], 'x') else redis.call('HDEL', KEYS[i], all[j]) end
      redis.call('HDEL', KEYS[5], all[j])
    end
  end
end
return removed
`);

/**
 * Removes confirmations that have not changed since they were read. Returns how many, or -1, with nothing changed, if the
 * ledger is folded.
 * KEYS: the shards, notes, folded. ARGV: for each its shard, field, version hash and time (base 36).
 */
export const takeBackScript = defineScript(`
if redis.call('EXISTS', KEYS[6]) == 1 then return -1 end
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
