import { defineScript } from '../redis/script.ts';

/**
 * A bucket is one string of entries of 8 bytes: 2 of the hash of the block, 4 of the hash of the study, and the lowest
 * and the highest of its last digits, a byte each. A free entry has digits that overlap with none.
 *
 * A short bucket is rewritten completely: when appending, Redis reserves twice the length.
 */
const bucketLua = `
local size, free = 8, string.rep('\\0', 6) .. '\\255\\0'
local longestWhole, longest, mostOfBlock = 256, 65536, 100
local function nextEntry(bucket, block, from)
  local at = string.find(bucket, block, from, true)
  while at and at % size ~= 1 do at = string.find(bucket, block, at + 1, true) end
  return at
end
local function others(bucket, block, low, high, me, found, seen)
  local own, first, count = {}, nil, 0
  local at = nextEntry(bucket, block, 1)
  while at do
    local study = string.sub(bucket, at + 2, at + 5)
    local from, to = string.byte(bucket, at + 6, at + 7)
    if study == me then table.insert(own, { at = at, from = from, to = to })
    else
      first, count = first or at, count + 1
      if from <= high and to >= low and not seen[study] then
        seen[study] = true
        table.insert(found, study)
      end
    end
    at = nextEntry(bucket, block, at + size)
  end
  return own, count >= mostOfBlock and first
end
`;

/**
 * Adds a study to blocks of UIDs. A block has at most 100 studies, and a bucket at most 8,192 entries: an older one is
 * replaced.
 * KEYS: the bucket of each block. ARGV: hash of the study, then hash, lowest and highest of each block.
 * Returns the hashes of other studies whose digits overlap.
 */
export const addScript = defineScript(`
${bucketLua}
local me, found, seen = ARGV[1], {}, {}
for i, key in ipairs(KEYS) do
  local block, low, high = ARGV[i * 3 - 1], tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
  local bucket = redis.call('GET', key) or ''
  local own, tooMany = others(bucket, block, low, high, me, found, seen)
  local mine = own[1]
  if mine then low, high = math.min(mine.from, low), math.max(mine.to, high) end
  local entry = block .. me .. string.char(low, high)
  local at = mine and mine.at or tooMany or nextEntry(bucket, free, 1)
  if not at and #bucket >= longest then
    at = (string.byte(me, 1) * 256 + string.byte(me, 2)) % (longest / size) * size + 1
  end
  if at then
    if string.sub(bucket, at, at + size - 1) ~= entry then redis.call('SETRANGE', key, at - 1, entry) end
  elseif #bucket < longestWhole then redis.call('SET', key, bucket .. entry)
  else redis.call('APPEND', key, entry) end
end
return found
`);

/** Checks like {@link addScript}, with the same KEYS and ARGV, and adds nothing. */
export const findScript = defineScript(`
${bucketLua}
local found, seen = {}, {}
for i, key in ipairs(KEYS) do
  local block, low, high = ARGV[i * 3 - 1], tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
  others(redis.call('GET', key) or '', block, low, high, ARGV[1], found, seen)
end
return found
`);

/** KEYS: the bucket of each block. ARGV: hash of the study, then the hash of each block. */
export const removeScript = defineScript(`
${bucketLua}
for i, key in ipairs(KEYS) do
  local bucket = redis.call('GET', key) or ''
  for _, mine in ipairs((others(bucket, ARGV[i + 1], 0, 0, ARGV[1], {}, {}))) do
    redis.call('SETRANGE', key, mine.at - 1, free)
    bucket = string.sub(bucket, 1, mine.at - 1) .. free .. string.sub(bucket, mine.at + size)
  end
  if bucket == string.rep(free, #bucket / size) then redis.call('DEL', key) end
end
return 0
`);

/** Adds a name to those of the studies with a hash, one per line. KEYS: names. ARGV: hash, name. */
export const addNameScript = defineScript(`
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
elseif not string.find('\\n' .. known .. '\\n', '\\n' .. ARGV[2] .. '\\n', 1, true) then
  redis.call('HSET', KEYS[1], ARGV[1], known .. '\\n' .. ARGV[2])
end
return 0
`);

/** KEYS: names. ARGV: hash, name. */
export const removeNameScript = defineScript(`
local left = {}
for name in string.gmatch(redis.call('HGET', KEYS[1], ARGV[1]) or '', '[^\\n]+') do
  if name ~= ARGV[2] then table.insert(left, name) end
end
if #left == 0 then redis.call('HDEL', KEYS[1], ARGV[1])
else redis.call('HSET', KEYS[1], ARGV[1], table.concat(left, '\\n')) end
return 0
`);
