import type { Redis } from 'ioredis';
import { defineScript } from '../redis/script.ts';
import { redisKeys } from './redis-keys.ts';
import { withoutLock, type StepContext } from './step-context.ts';

/** Keys in one call. */
const atOnce = 256;

/**
 * Converts a hash with a field of 4 bytes per block and 7 bytes for each of its studies to a string: 2 bytes of the block, 4
 * of the study, and its digits. A string is already converted.
 *
 * KEYS: buckets, then as many keys with names of studies. Returns the numbers of the existing keys.
 */
const packScript = defineScript(`
local count, named = #KEYS / 2, {}
for number = 1, count do
  local key = KEYS[number]
  if redis.call('EXISTS', KEYS[count + number]) == 1 then table.insert(named, number - 1) end
  if redis.call('TYPE', key).ok == 'hash' then
    local fields, entries = redis.call('HGETALL', key), {}
    for i = 1, #fields, 2 do
      local block, studies = string.sub(fields[i], 1, 2), fields[i + 1]
      for at = 1, #studies, 7 do
        table.insert(entries, block .. string.sub(studies, at, at + 3) .. string.sub(studies, at + 5, at + 6))
      end
    end
    redis.call('DEL', key)
    if #entries > 0 then redis.call('SET', key, table.concat(entries)) end
  end
end
return named
`);

/**
 * Moves names: a former shard has them by the last 3 bytes of a hash of 5 bytes, the new one by its first 4 bytes.
 * KEYS: names of the former shard, names of the new one. ARGV: the first 2 bytes of the hash, which name the former
 * shard.
 */
const moveNamesScript = defineScript(`
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local hash = ARGV[1] .. string.sub(fields[i], 1, 2)
  local known = redis.call('HGET', KEYS[2], hash)
  if not known then redis.call('HSET', KEYS[2], hash, fields[i + 1])
  elseif not string.find('\\n' .. known .. '\\n', '\\n' .. fields[i + 1] .. '\\n', 1, true) then
    redis.call('HSET', KEYS[2], hash, known .. '\\n' .. fields[i + 1])
  end
end
redis.call('DEL', KEYS[1])
return 0
`);

/** Format 4. If interrupted, it continues with the rest; if repeated, it finds nothing to do. */
export async function packSharedUids(redis: Redis, prefix: string, context: StepContext = withoutLock): Promise<void> {
  const keys = redisKeys(prefix);
  // Without studies there is no index.
  if ((await redis.zcard(keys.index('studies'))) === 0) return;
  const shards = Array.from({ length: 65_536 }, (_, index) => index.toString(16).padStart(4, '0'));
  for (let from = 0; from < shards.length; from += atOnce) {
    const some = shards.slice(from, from + atOnce);
    const buckets = some.map((shard) => keys.uidBlocks(shard));
    await context.renew();
    const named = await packScript.run(redis, [...buckets, ...some.map((shard) => keys.uidStudies(shard))], []);
    for (const number of named as number[]) {
      const shard = some[number] ?? '';
      const names = [keys.uidStudies(shard), keys.uidStudies(shard.slice(0, 3))];
      await moveNamesScript.run(redis, names, [Buffer.from(shard, 'hex')]);
    }
  }
}
