import type { Redis } from 'ioredis';
import { lookupPlaces } from '../records/lookup.ts';
import { defineScript } from '../redis/script.ts';
import { redisKeys } from './redis-keys.ts';
import { withoutLock, type StepContext } from './step-context.ts';

/** Entries in one call: some milliseconds for Redis. */
const atOnce = 200;

/**
 * Moves entries of a former index, `VALUE SOURCE STUDY`.
 *
 * KEYS: former index. ARGV: prefix, 'uids' or 'hashes', how many. Returns how many were moved.
 */
const moveScript = defineScript(`
local prefix = ARGV[1]
${lookupPlaces}
local entries = redis.call('ZRANGE', KEYS[1], 0, ARGV[3] - 1)
for _, entry in ipairs(entries) do
  local value, member = string.match(entry, '^(%S+) (.*)$')
  if value then
    local key, field
    if ARGV[2] == 'uids' then key, field = uid_place(value, member) else key, field = hash_place(value, member) end
    redis.call('HSET', key, field, '')
  end
  redis.call('ZREM', KEYS[1], entry)
end
return #entries
`);

/**
 * Distributes the indexes of Study Instance UIDs and of search hashes over small hashes (format 7). If interrupted, it
 * continues with the rest.
 */
export async function distributeLookups(
  redis: Redis,
  prefix: string,
  context: StepContext = withoutLock,
): Promise<void> {
  for (const kind of ['uids', 'hashes']) {
    const former = redisKeys(prefix).index(`study-${kind}`);
    while (Number(await moveScript.run(redis, [former], [prefix, kind, atOnce])) > 0) await context.renew();
  }
}
