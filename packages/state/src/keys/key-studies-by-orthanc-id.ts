import type { Redis } from 'ioredis';
import { defineScript } from '../redis/script.ts';
import { redisKeys } from './redis-keys.ts';
import { withoutLock, type StepContext } from './step-context.ts';

/** Studies in one call: some milliseconds for Redis. */
const atOnce = 20;

/**
 * Moves data stored by source and Study Instance UID to source and Orthanc id. If studies of two patients shared a
 * UID, each gets its own deliveries and a copy of the confirmations: entries include the version of the instance,
 * so none counts for the other. Existing data under the new keys are preserved.
 *
 * KEYS: index of studies, index of Study Instance UIDs
 * ARGV: prefix, then members of the index, `SOURCE UID` in the old format
 * Returns the keys of damaged records: their studies stay as they are.
 */
const moveScript = defineScript(`
local prefix = ARGV[1]
local index = prefix .. ':index:'
local function copyTo(from, to, isLast)
  if redis.call('EXISTS', from) == 0 then return end
  if isLast then
    redis.call('RENAMENX', from, to)
    redis.call('UNLINK', from)
  else
    redis.call('COPY', from, to)
  end
end
local damaged = {}
-- A record of this step's time. Those of later formats are lists, and belong to an Orthanc id already.
local function record_of(text, key)
  local ok, record = pcall(cjson.decode, text)
  if ok and type(record) == 'table' and type(record.orthancStudyId) == 'string' and type(record.rules) == 'table' then return record end
  if not ok or string.sub(text, 1, 1) ~= '[' then table.insert(damaged, key) end
  return nil
end
local function move(member)
  local source, uid = string.match(member, '^(%S+) (.*)$')
  local studyKey, listKey = prefix .. ':study:' .. source .. ':' .. uid, prefix .. ':study-deliveries:' .. source .. ':' .. uid
  local text = redis.call('GET', studyKey)
  local study = text and record_of(text, studyKey)
  if text and (not study or study.orthancStudyId == uid) then return end
  local listed = redis.call('ZRANGE', listKey, 0, -1, 'WITHSCORES')
  local records, shapes, ids = {}, {}, {}
  if study then
    records[study.orthancStudyId] = text
    table.insert(ids, study.orthancStudyId)
  end
  for i = #listed - 1, 1, -2 do
    local id, at = listed[i], listed[i + 1]
    local key = prefix .. ':delivery:' .. id
    local data = redis.call('HGET', key, 'data')
    local one = data and record_of(data, key)
    if data and (not one or one.orthancStudyId == uid) then return end
    if one then
      local owner = one.orthancStudyId
      shapes[one.transform and one.target .. '+' .. one.transform.name or one.target] = true
      redis.call('ZADD', prefix .. ':study-deliveries:' .. source .. ':' .. owner, at, id)
      if not records[owner] then
        -- Its record was written over by that of the other patient: the next sweep completes it.
        local made = {}
        for _, field in ipairs({ 'source', 'epoch', 'studyInstanceUid', 'orthancStudyId', 'contentHash', 'instanceCount', 'studyTaskId', 'routedAt' }) do
          made[field] = one[field]
        end
        for _, field in ipairs({ 'modalities', 'rules' }) do made[field] = one[field] end
        made.targets = { one.target }
        -- Lua does not tell an empty list from an empty object.
        records[owner] = string.gsub(cjson.encode(made), ':{}', ':[]')
        table.insert(ids, owner)
      end
    end
  end
  local score = redis.call('ZSCORE', KEYS[1], member)
  for at, id in ipairs(ids) do
    local isLast = at == #ids
    local record = cjson.decode(records[id])
    local own = source .. ' ' .. id
    if redis.call('SETNX', prefix .. ':study:' .. source .. ':' .. id, records[id]) == 1 then
      redis.call('ZADD', KEYS[1], score, own)
      redis.call('ZADD', index .. 'studies-source:' .. source, score, own)
      for _, rule in ipairs(record.rules) do redis.call('ZADD', index .. 'studies-rule:' .. rule, score, own) end
      redis.call('ZADD', KEYS[2], 0, record.studyInstanceUid .. ' ' .. own)
    end
    for shape in pairs(shapes) do
      for _, part in ipairs({ '0', '1', '2', '3', 'notes' }) do
        local base = prefix .. ':ledger:' .. source .. ':'
        copyTo(base .. uid .. ':' .. shape .. ':' .. part, base .. id .. ':' .. shape .. ':' .. part, isLast)
      end
    end
    copyTo(prefix .. ':choices:' .. source .. ' ' .. uid, prefix .. ':choices:' .. source .. ' ' .. id, isLast)
    local left = redis.call('ZSCORE', prefix .. ':left:' .. source, uid)
    if left then redis.call('ZADD', prefix .. ':left:' .. source, left, id) end
  end
  for _, rule in ipairs(study and study.rules or {}) do redis.call('ZREM', index .. 'studies-rule:' .. rule, member) end
  redis.call('ZREM', index .. 'studies-source:' .. source, member)
  redis.call('ZREM', KEYS[1], member)
  redis.call('ZREM', prefix .. ':left:' .. source, uid)
  redis.call('UNLINK', studyKey, listKey)
end
for i = 2, #ARGV do move(ARGV[i]) end
return damaged
`);

/** Format 2. If interrupted, it continues with the rest; if repeated, it finds nothing to do. Damaged records stay, and are reported. */
export async function keyStudiesByOrthancId(
  redis: Redis,
  prefix: string,
  context: StepContext = withoutLock,
): Promise<void> {
  const keys = redisKeys(prefix);
  const index = keys.index('studies');
  // Members that are added meanwhile may be returned by the same scan: they are recognised by the form of their record.
  let cursor = '0';
  do {
    const [next, flat] = await redis.zscan(index, cursor, 'COUNT', atOnce);
    const members = flat.filter((_, at) => at % 2 === 0);
    if (members.length > 0) {
      const damaged = await moveScript.run(redis, [index, keys.index('study-uids')], [prefix, ...members]);
      for (const key of damaged as string[]) context.onDamaged(key);
    }
    await context.renew();
    cursor = next;
  } while (cursor !== '0');
}
