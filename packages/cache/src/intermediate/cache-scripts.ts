import { defineScript } from '@dicom-dispatch/state/redis';

/*
 * The catalog (a hash) is the basis of the accounting; damaged or lost values do not affect it.
 * An entry in it is one line: type, retention (t, c, p), bytes, bytes in a file, time of expiry (0 = none), folder, file, use,
 * stamp; `-` stands for none. Keys that a script computes share the hash tag of its arguments.
 */
const common = `
local base, totals, catalog, expiry = ARGV[1], KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(number) return string.format('%.0f', number) end

local function lookup(member)
  local line = redis.call('HGET', catalog, member)
  if not line then return nil end
  local words = {}
  for word in string.gmatch(line, '%S+') do words[#words + 1] = word end
  return {
    type = words[1], retention = words[2], bytes = tonumber(words[3]), fileBytes = tonumber(words[4]),
    expiresAt = tonumber(words[5]), folder = words[6], file = words[7], use = words[8], stamp = words[9],
  }
end

local function count(entry, sign)
  redis.call('HINCRBY', totals, 'entries', sign)
  redis.call('HINCRBY', totals, 'entries:' .. entry.type, sign)
  redis.call('HINCRBY', totals, 'bytes', whole(sign * entry.bytes))
  redis.call('HINCRBY', totals, 'bytes:' .. entry.type, whole(sign * entry.bytes))
  if entry.retention == 'p' then redis.call('HINCRBY', totals, 'persistent', whole(sign * entry.bytes)) end
  if entry.fileBytes > 0 then
    redis.call('HINCRBY', totals, 'fileBytes', whole(sign * entry.fileBytes))
    redis.call('HINCRBY', totals, 'fileBytes:' .. entry.type, whole(sign * entry.fileBytes))
    redis.call('HINCRBY', totals, 'folder:' .. entry.folder, whole(sign * entry.fileBytes))
  end
end

local function touch(member, entry, call)
  if entry.retention == 'p' then return end
  local clock = call('HINCRBY', totals, 'clock', 1)
  if type(clock) ~= 'number' then return end
  call('ZADD', base .. 'used:' .. entry.retention, clock, member)
  if entry.file ~= '-' then call('ZADD', base .. 'files:' .. entry.folder, clock, member) end
end

-- What was removed and leaves a file behind, as 'folder/file'.
local files = {}
local function remove(member, reason)
  local entry = lookup(member)
  redis.call('UNLINK', base .. 'entry:' .. member)
  if not entry then return false end
  redis.call('HDEL', catalog, member)
  redis.call('ZREM', expiry, member)
  redis.call('ZREM', base .. 'used:' .. entry.retention, member)
  if entry.file ~= '-' then
    redis.call('ZREM', base .. 'files:' .. entry.folder, member)
    files[#files + 1] = entry.folder .. '/' .. entry.file
  end
  if entry.use ~= '-' then redis.call('SREM', base .. 'use:' .. entry.use, member) end
  count(entry, -1)
  if reason then
    redis.call('HINCRBY', totals, reason, 1)
    redis.call('HINCRBY', totals, reason .. ':' .. entry.type, 1)
  end
  return true
end

local function prune(limit)
  local old = redis.call('ZRANGEBYSCORE', expiry, '-inf', whole(now), 'LIMIT', 0, limit)
  for _, member in ipairs(old) do remove(member, 'expired') end
  return #old
end
`;

/**
 * Returns state (hit, miss, expired, lost), stored value, catalog stamp, orphaned files.
 * KEYS: totals, catalog, expiry. ARGV: base, type, what to count (all, hits, none; a counted hit is a use), '1'
 * with the value, members to check
 */
export const getScript = defineScript(`${common}
local state, value, stamp = 'miss', '', ''
for i = 5, #ARGV do
  local member = ARGV[i]
  local entry = lookup(member)
  if entry and entry.expiresAt > 0 and entry.expiresAt <= now then
    remove(member, 'expired')
    state = 'expired'
  elseif entry then
    local stored = ARGV[4] == '1' and redis.call('GET', base .. 'entry:' .. member)
    if ARGV[4] ~= '1' and redis.call('EXISTS', base .. 'entry:' .. member) == 1 then stored = '' end
    if stored then
      state, value, stamp = 'hit', stored, entry.stamp
      -- A full Redis takes no note of uses and hits, but still answers: hence pcall.
      if ARGV[3] ~= 'none' then touch(member, entry, redis.pcall) end
      break
    end
    remove(member)
    state = 'lost'
  end
end
if ARGV[3] == 'all' or (ARGV[3] == 'hits' and state == 'hit') then
  local counted = state == 'hit' and 'hits' or 'misses'
  redis.pcall('HINCRBY', totals, counted, 1)
  redis.pcall('HINCRBY', totals, counted .. ':' .. ARGV[2], 1)
end
return {state, value, stamp, files}
`);

/**
 * Returns stored, over-budget, changed or refused, and the orphaned files.
 * KEYS: totals, catalog, expiry. ARGV: base, member, member to replace or '', type, retention (t, c, p), age in ms,
 * bytes, file bytes, folder, file, use, stamp, expected stamp ('' any, 'absent'), budget, budget of the folder, value
 */
export const putScript = defineScript(`${common}
local member, replaced, expected = ARGV[2], ARGV[3], ARGV[13]
local budget, folderBudget = tonumber(ARGV[14]), tonumber(ARGV[15])
local age = tonumber(ARGV[6])
local entry = {
  type = ARGV[4], retention = ARGV[5], bytes = tonumber(ARGV[7]), fileBytes = tonumber(ARGV[8]),
  expiresAt = age > 0 and now + age or 0, folder = ARGV[9], file = ARGV[10], use = ARGV[11], stamp = ARGV[12],
}
if expected ~= '' then
  local present = lookup(member)
  if present and present.expiresAt > 0 and present.expiresAt <= now then present = nil end
  if (present and present.stamp or 'absent') ~= expected then return {'changed', files} end
end
-- Redis refuses a script for want of memory only at its first write, and only if that takes memory. Later ones pass.
redis.call('HINCRBY', totals, 'clock', 1)
remove(member)
if replaced ~= '' then remove(replaced) end
prune(200)

local held = tonumber(redis.call('HGET', totals, 'persistent') or '0')
if entry.retention ~= 'p' then
  if budget > 0 and held + entry.bytes > budget then return {'refused', files} end
  if folderBudget > 0 and entry.fileBytes > folderBudget then return {'refused', files} end
end

redis.call('SET', base .. 'entry:' .. member, ARGV[16])
redis.call('HSET', catalog, member, table.concat({
  entry.type, entry.retention, ARGV[7], ARGV[8], whole(entry.expiresAt), entry.folder, entry.file, entry.use, entry.stamp,
}, ' '))
if entry.expiresAt > 0 then redis.call('ZADD', expiry, whole(entry.expiresAt), member) end
if entry.use ~= '-' then redis.call('SADD', base .. 'use:' .. entry.use, member) end
if entry.folder ~= '-' then redis.call('SADD', base .. 'folders', entry.folder) end
count(entry, 1)
touch(member, entry, redis.call)

local function oldest(key)
  local first = redis.call('ZRANGE', key, 0, 0)[1]
  if first and first ~= member then return first end
  -- The new entry is the last that may go.
  return nil
end
while budget > 0 and tonumber(redis.call('HGET', totals, 'bytes')) > budget do
  local victim = oldest(base .. 'used:c') or oldest(base .. 'used:t')
  if not victim then break end
  remove(victim, 'evictions')
end
if entry.file ~= '-' then
  while folderBudget > 0 and tonumber(redis.call('HGET', totals, 'folder:' .. entry.folder)) > folderBudget do
    local victim = oldest(base .. 'files:' .. entry.folder)
    if not victim then break end
    remove(victim, 'evictions')
  end
end
local over = budget > 0 and tonumber(redis.call('HGET', totals, 'bytes')) > budget
local overFolder = entry.file ~= '-' and folderBudget > 0
  and tonumber(redis.call('HGET', totals, 'folder:' .. entry.folder)) > folderBudget
if (over or overFolder) and entry.retention ~= 'p' then
  -- Only what is persistent is left beside the new entry: there is no place for it.
  remove(member)
  return {'refused', files}
end
return {(over or overFolder) and 'over-budget' or 'stored', files}
`);

/** KEYS: totals, catalog, expiry. ARGV: base, members. Returns how many existed, and the orphaned files. */
export const removeScript = defineScript(`${common}
local removed = 0
for i = 2, #ARGV do
  if remove(ARGV[i]) then removed = removed + 1 end
end
return {removed, files}
`);

/** KEYS: totals, catalog, expiry. ARGV: base, address. Removes it in Redis and from all folders. */
export const invalidateScript = defineScript(`${common}
local removed = remove(ARGV[2]) and 1 or 0
for _, folder in ipairs(redis.call('SMEMBERS', base .. 'folders')) do
  if remove(ARGV[2] .. ' @' .. folder) then removed = removed + 1 end
end
return {removed, files}
`);

/** KEYS: totals, catalog, expiry. ARGV: base, use. Removes the transient results of the use. */
export const releaseScript = defineScript(`${common}
local removed = 0
for _, member in ipairs(redis.call('SMEMBERS', base .. 'use:' .. ARGV[2])) do
  if remove(member) then removed = removed + 1 end
end
redis.call('UNLINK', base .. 'use:' .. ARGV[2])
return {removed, files}
`);

/** KEYS: totals, catalog, expiry. ARGV: base. Removes some expired entries. */
export const pruneScript = defineScript(`${common}
return {prune(500), files}
`);

/** KEYS: lock. ARGV: token, lease in ms. Returns '' if the lock was acquired, otherwise its content. */
export const lockScript = defineScript(`
local held = redis.call('GET', KEYS[1])
if held then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ''
`);

/** KEYS: lock. ARGV: token, lease in ms. */
export const renewScript = defineScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`);

/** KEYS: lock. ARGV: token, '' or a temporary replacement, its duration in ms. */
export const unlockScript = defineScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`);
