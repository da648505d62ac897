import { defineScript } from '../redis/script.ts';

/**
 * Adds a study to blocks of UIDs. An entry of a block is a study of 5 bytes, and the lowest and the highest of its last digits, a
 * byte each. A block has 100 UIDs: of more entries the oldest go.
 * KEYS: one for each block. ARGV: hash of the study, then field, lowest and highest of each block.
 * Answers the hashes of other studies whose digits overlap.
 */
export const addScript = defineScript(`
local me, others, seen = ARGV[1], {}, {}
for i, key in ipairs(KEYS) do
  local field, low, high = ARGV[i * 3 - 1], tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
  local known, kept = redis.call('HGET', key, field) or '', {}
  local newLow, newHigh = low, high
  for at = 1, #known, 7 do
    local study, from, to = string.sub(known, at, at + 4), string.byte(known, at + 5, at + 6)
    if study == me then
      newLow, newHigh = math.min(from, newLow), math.max(to, newHigh)
    else
      table.insert(kept, string.sub(known, at, at + 6))
      if from <= high and to >= low and not seen[study] then
        seen[study] = true
        table.insert(others, study)
      end
    end
  end
  table.insert(kept, me .. string.char(newLow, newHigh))
  local value = table.concat(kept, '', math.max(1, #kept - 99))
  if value ~= known then redis.call('HSET', key, field, value) end
end
return others
`);

/** Looks as {@link addScript} does, with the same keys and values, and adds nothing. */
export const findScript = defineScript(`
local others, seen = {}, {}
for i, key in ipairs(KEYS) do
  local field, low, high = ARGV[i * 3 - 1], tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
  local known = redis.call('HGET', key, field) or ''
  for at = 1, #known, 7 do
    local study, from, to = string.sub(known, at, at + 4), string.byte(known, at + 5, at + 6)
    if study ~= ARGV[1] and from <= high and to >= low and not seen[study] then
      seen[study] = true
      table.insert(others, study)
    end
  end
end
return others
`);

/** KEYS: one for each block. ARGV: hash of the study, then the field of each block. */
export const removeScript = defineScript(`
for i, key in ipairs(KEYS) do
  local field = ARGV[i + 1]
  local known, kept = redis.call('HGET', key, field) or '', {}
  for at = 1, #known, 7 do
    if string.sub(known, at, at + 4) ~= ARGV[1] then table.insert(kept, string.sub(known, at, at + 6)) end
  end
  if #kept == 0 then redis.call('HDEL', key, field) else redis.call('HSET', key, field, table.concat(kept)) end
end
return 0
`);

/** The names of the studies of one hash, by lines. KEYS: names. ARGV: field, name. */
export const addNameScript = defineScript(`
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
elseif not string.find('\\n' .. known .. '\\n', '\\n' .. ARGV[2] .. '\\n', 1, true) then
  redis.call('HSET', KEYS[1], ARGV[1], known .. '\\n' .. ARGV[2])
end
return 0
`);
