/**
 * Writes a study and its new deliveries. A delivery that is known already keeps its state: routing the same content
 * twice changes nothing.
 * KEYS: study, deliveries of the study, index of studies
 * ARGV: prefix, study JSON, member of the index, routedAt, then id and JSON of each delivery
 */
export const routedScript = `
local prefix = ARGV[1]
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])
local added = 0
for i = 5, #ARGV, 2 do
  local id, data = ARGV[i], ARGV[i + 1]
  local key = prefix .. ':delivery:' .. id
  if redis.call('HSETNX', key, 'data', data) == 1 then
    local target = cjson.decode(data).target
    redis.call('HSET', key, 'state', 'waiting', 'updatedAt', ARGV[4])
    redis.call('ZADD', KEYS[2], ARGV[4], id)
    redis.call('ZADD', prefix .. ':index:state:waiting', ARGV[4], id)
    redis.call('ZADD', prefix .. ':index:target:' .. target .. ':waiting', ARGV[4], id)
    added = added + 1
  end
end
redis.call('PUBLISH', prefix .. ':changes', ARGV[3])
return added
`;

/**
 * Changes fields of a delivery, moves it between the indexes of states, adds an event to its timeline.
 * KEYS: delivery, events
 * ARGV: prefix, id, now, bytes to add, event JSON or '', longest timeline, then field and value pairs ('' removes)
 */
export const updateScript = `
local prefix, id, now = ARGV[1], ARGV[2], ARGV[3]
local data = redis.call('HGET', KEYS[1], 'data')
if not data then return 0 end
local record = cjson.decode(data)
local before = redis.call('HGET', KEYS[1], 'state')
for i = 7, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i]) else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
if ARGV[4] ~= '0' then redis.call('HINCRBY', KEYS[1], 'bytesSent', ARGV[4]) end
redis.call('HSET', KEYS[1], 'updatedAt', now)
local after = redis.call('HGET', KEYS[1], 'state')
if before ~= after then
  redis.call('ZREM', prefix .. ':index:state:' .. before, id)
  redis.call('ZREM', prefix .. ':index:target:' .. record.target .. ':' .. before, id)
end
redis.call('ZADD', prefix .. ':index:state:' .. after, now, id)
redis.call('ZADD', prefix .. ':index:target:' .. record.target .. ':' .. after, now, id)
if ARGV[5] ~= '' then
  redis.call('RPUSH', KEYS[2], ARGV[5])
  redis.call('LTRIM', KEYS[2], -tonumber(ARGV[6]), -1)
end
redis.call('PUBLISH', prefix .. ':changes', record.source .. ' ' .. record.studyInstanceUid)
return 1
`;
