import { defineScript, type Script } from '../redis/script.ts';
import { deliveryStates } from './record-types.ts';
import { lookupPlaces } from './lookup.ts';
import { readStoredForm } from './stored-form.ts';

/**
 * Checks whether the data of a study may be removed, and removes them, in one step: anything that begins meanwhile (a
 * retry, the return of the study) is either detected here, or finds no data and starts again. For a study with very
 * many deliveries the older ones of each target and form are removed first, a limited number per call; the
 * confirmations of each target are removed with the last one.
 *
 * KEYS: study, deliveries of the study, index of studies, choices, held, waits, left, and with a fence its lease
 * ARGV: prefix, source, study, before, token or '', 1 if failed ones may be removed too, maximum number of deliveries, 1 to
 *   only check (2 to measure, too), JSON of the targets that are sources, with their sources
 *
 * `jobs` defines, for the data of a delivery, `areJobsAtRest`, `jobKeys` (to be measured), and `dropJobs`, which returns
 * the ids of its study tasks.
 * Returns a word, how many deliveries were or would be removed, and bytes; for `damaged` the key of the record instead.
 */
function forgetScript(jobs: string): Script {
  return defineScript(`${readStoredForm}
local prefix, source, study_id, before = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local withFailed, most, isDry, sources = ARGV[6] == '1', tonumber(ARGV[7]), ARGV[8] ~= '0', cjson.decode(ARGV[9])
local index, member = prefix .. ':index:', source .. ' ' .. study_id
${lookupPlaces}
if ARGV[5] ~= '' and redis.call('GET', KEYS[8]) ~= ARGV[5] then return { 'lost', 0 } end

${jobs}
local text = redis.call('GET', KEYS[1])
local study = text and readable_study(text)
if text and not study then return { 'damaged', 0, KEYS[1] } end
local contents = {}
local uid = study and study.studyInstanceUid
if study then
  if study.routedAt >= before then return { 'recent', 0 } end
  if redis.call('ZSCORE', KEYS[6], study_id) then return { 'waiting', 0 } end
  contents[study.contentHash] = true
end
local function isKnownIn(other)
  local bucket, mark = uid_mark(uid)
  for _, field in ipairs(redis.call('HKEYS', index .. 'study-uids:' .. bucket)) do
    if string.sub(field, 1, #mark) == mark then
      local owner, id = string.match(member_of_field(field), '^(%S+) (.*)$')
      local record = owner == other and redis.call('GET', prefix .. ':study:' .. owner .. ':' .. id)
      local another = record and readable_study(record)
      if owner == other and (not another or another.studyInstanceUid == uid) then return true end
    end
  end
  return false
end
local newest, older, shapes, lost = {}, {}, {}, {}
for _, id in ipairs(redis.call('ZREVRANGE', KEYS[2], 0, -1)) do
  local fields = redis.call('HMGET', prefix .. ':delivery:' .. id, 'data', 'state', 'updatedAt', 'error', 'resolution')
  local data = fields[1] and readable_data(fields[1], id)
  local isRead = data and pcall(cjson.decode, fields[4] or '{}') and pcall(cjson.decode, fields[5] or '{}')
  -- It may be open, and its confirmations are unknown.
  if fields[1] and not isRead then return { 'damaged', 0, prefix .. ':delivery:' .. id } end
  if data then
    local state = fields[2]
    local shape = data.transform and data.target .. '+' .. data.transform.name or data.target
    if state == 'waiting' or state == 'active' then return { 'open', 0 } end
    if tonumber(fields[3] or data.routedAt) >= before then return { 'recent', 0 } end
    if state == 'failed' and not shapes[shape] and not withFailed then return { 'failed', 0 } end
    local other = sources[data.target]
    uid = uid or data.studyInstanceUid
    if other and other ~= source and isKnownIn(other) then
      return { 'needed', 0 }
    end
    if not areJobsAtRest(data) then return { 'busy', 0 } end
    contents[data.contentHash] = true
    table.insert(shapes[shape] and older or newest, { id = id, data = data, state = state })
    shapes[shape] = true
  else
    table.insert(lost, id)
  end
end
for _, choice in ipairs(redis.call('HVALS', KEYS[4])) do
  -- Somebody is routing a new content of it.
  local isRead, chosen = pcall(cjson.decode, choice)
  if not isRead or type(chosen) ~= 'table' then return { 'damaged', 0, KEYS[4] } end
  if not contents[chosen.contentHash] then return { 'busy', 0 } end
end
-- One for each place where the target was.
local function ledgersOf(shape)
  local target, transform = string.match(shape, '^([^+]*)(.*)$')
  local names, known = { target }, redis.call('GET', prefix .. ':places:' .. target)
  for _, place in ipairs(known and cjson.decode(known).places or {}) do
    if place.ledger ~= target then table.insert(names, place.ledger) end
  end
  local keys = {}
  for _, name in ipairs(names) do
    local ledger = prefix .. ':ledger:' .. source .. ':' .. study_id .. ':' .. name .. transform .. ':'
    for _, part in ipairs({ '0', '1', '2', '3', 'notes', 'folded' }) do table.insert(keys, ledger .. part) end
  end
  return keys
end
if isDry then
  local bytes = 0
  local function measure(keys)
    if ARGV[8] ~= '2' then return end
    for _, key in ipairs(keys) do bytes = bytes + (redis.call('MEMORY', 'USAGE', key) or 0) end
  end
  -- An entry of an index counts as the average of its entries.
  local function share(count, key)
    if ARGV[8] ~= '2' then return end
    local entries = redis.call(count, key)
    if entries > 0 then bytes = bytes + redis.call('MEMORY', 'USAGE', key) / entries end
  end
  share('ZCARD', KEYS[3])
  share('ZCARD', index .. 'studies-source:' .. source)
  for _, rule in ipairs(study and study.rules or {}) do share('ZCARD', index .. 'studies-rule:' .. rule) end
  for _, hash in ipairs(study and study.search and study.search.hashes or {}) do share('HLEN', (hash_place(hash, member))) end
  if uid then share('HLEN', (uid_place(uid, member))) end
  measure({ KEYS[1], KEYS[2], KEYS[4] })
  for shape in pairs(shapes) do measure(ledgersOf(shape)) end
  for _, list in ipairs({ newest, older }) do
    for _, one in ipairs(list) do
      measure({ prefix .. ':delivery:' .. one.id, prefix .. ':events:' .. one.id })
      measure(jobKeys(one.data))
      share('ZCARD', index .. 'state:' .. one.state)
      share('ZCARD', index .. 'target:' .. one.data.target .. ':' .. one.state)
      share('ZCARD', index .. 'source:' .. source)
      for _, rule in ipairs(one.data.rules) do share('ZCARD', index .. 'rule:' .. rule) end
    end
  end
  return { text and 'forgotten' or 'unknown', #newest + #older, math.floor(bytes) }
end

local function drop(one)
  local id, data, state = one.id, one.data, one.state
  local key = prefix .. ':delivery:' .. id
  local failed = redis.call('HGET', key, 'error')
  if failed then
    local error = cjson.decode(failed)
    local stage = redis.call('HGET', key, 'failStage') or error.stage
    redis.call('ZREM', index .. 'error:' .. table.concat({ data.target, state, stage, error.code }, ' '), id)
  end
  redis.call('ZREM', index .. 'state:' .. state, id)
  redis.call('ZREM', index .. 'target:' .. data.target .. ':' .. state, id)
  redis.call('ZREM', index .. 'open', id)
  redis.call('ZREM', index .. 'source:' .. data.source, id)
  for _, rule in ipairs(data.rules) do redis.call('ZREM', index .. 'rule:' .. rule, id) end
  redis.call('SREM', KEYS[5], id)
  for _, step in ipairs(dropJobs(data)) do
    redis.call('UNLINK', prefix .. ':task:' .. step)
    redis.call('ZREM', index .. 'tasks', step)
  end
  redis.call('UNLINK', key, prefix .. ':events:' .. id, prefix .. ':cancelled:' .. id, prefix .. ':state:' .. id,
    prefix .. ':receipt:' .. id, prefix .. ':receipt-open:' .. id)
  redis.call('ZREM', KEYS[2], id)
end
redis.call('UNLINK', KEYS[4])
local gone = 0
while #older > 0 and gone < most do
  drop(table.remove(older))
  gone = gone + 1
end
if #older > 0 then return { 'more', gone } end
for _, one in ipairs(newest) do
  drop(one)
  gone = gone + 1
end
for shape in pairs(shapes) do
  redis.call('UNLINK', unpack(ledgersOf(shape)))
end
-- Without a record only the indexes know them.
if #lost > 0 then
  local targets = redis.call('SMEMBERS', prefix .. ':targets')
  for _, target in ipairs(study and study.targets or {}) do table.insert(targets, target) end
  for _, id in ipairs(lost) do
    redis.call('ZREM', index .. 'open', id)
    redis.call('ZREM', index .. 'source:' .. source, id)
    redis.call('SREM', KEYS[5], id)
    for _, rule in ipairs(study and study.rules or {}) do redis.call('ZREM', index .. 'rule:' .. rule, id) end
    for _, state in ipairs({ ${deliveryStates.map((state) => `'${state}'`).join(', ')} }) do
      redis.call('ZREM', index .. 'state:' .. state, id)
      for _, target in ipairs(targets) do redis.call('ZREM', index .. 'target:' .. target .. ':' .. state, id) end
    end
  end
end
for _, rule in ipairs(study and study.rules or {}) do redis.call('ZREM', index .. 'studies-rule:' .. rule, member) end
redis.call('ZREM', index .. 'studies-source:' .. source, member)
redis.call('ZREM', KEYS[3], member)
for _, hash in ipairs(study and study.search and study.search.hashes or {}) do
  redis.call('HDEL', hash_place(hash, member))
end
if uid then redis.call('HDEL', uid_place(uid, member)) end
redis.call('ZREM', KEYS[7], study_id)
local priors = prefix .. ':priors:' .. source .. ':' .. study_id
for _, id in ipairs(redis.call('HKEYS', priors)) do redis.call('ZREM', index .. 'priors', member .. ' ' .. id) end
redis.call('UNLINK', priors)
redis.call('UNLINK', KEYS[1], KEYS[2])
return { study and 'forgotten' or 'unknown', gone }
`);
}

const known = new Map<string, Script>();

/** The script with its part about jobs in Lua (`forgetJobs` of `packages/pipeline`). */
export function forgetScriptWith(jobs: string): Script {
  const script = known.get(jobs) ?? forgetScript(jobs);
  known.set(jobs, script);
  return script;
}

/** For records without queues. */
export const withoutJobs = `
local function areJobsAtRest() return true end
local function jobKeys() return {} end
local function dropJobs(data) return { data.studyTaskId } end
`;
