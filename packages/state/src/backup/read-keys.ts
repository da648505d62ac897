import { Cluster } from 'ioredis';
import type { RedisClient } from '../redis/redis-client.ts';
import { defineScript } from '../redis/script.ts';
import type { KeyEntry, KeyType } from './key-entry.ts';

const scanAtOnce = 1_000;

/** Lua: `read(key)` returns `{ type, ms until it expires or -1, values }`, or an empty table if the key does not exist. */
export const readKey = `
local function read(key)
  local kind = redis.call('TYPE', key).ok
  local values
  if kind == 'string' then values = { redis.call('GET', key) }
  elseif kind == 'hash' then values = redis.call('HGETALL', key)
  elseif kind == 'list' then values = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'set' then values = redis.call('SMEMBERS', key)
  elseif kind == 'zset' then values = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'stream' then
    values = {}
    for _, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do
      values[#values + 1] = entry[1]
      values[#values + 1] = tostring(#entry[2])
      for _, text in ipairs(entry[2]) do values[#values + 1] = text end
    end
  else return {} end
  return { kind, redis.call('PTTL', key), values }
end
`;

const script = defineScript(`${readKey}
local answers = {}
for i, key in ipairs(KEYS) do answers[i] = read(key) end
return answers
`);

/** Result of {@link readKey}, with every text as a Buffer. */
export type KeyAnswer = readonly [] | readonly [type: Buffer, expiresInMs: number, values: readonly Buffer[]];

/**
 * Reads several keys at one point in time; keys that do not exist are omitted.
 *
 * @param now - by the clock of Redis (ms since 1970), to compute when they expire
 */
export async function readKeys(
  redis: RedisClient,
  prefix: string,
  names: readonly string[],
  now: number,
): Promise<KeyEntry[]> {
  if (names.length === 0) return [];
  const answers = (await script.runBuffer(
    redis,
    names.map((name) => `${prefix}:${name}`),
    [],
  )) as KeyAnswer[];
  return names.flatMap((name, at) => keyEntry(name, answers[at] ?? [], now));
}

export function keyEntry(name: string, answer: KeyAnswer, now: number): KeyEntry[] {
  const [type, expiresInMs = -1, values = []] = answer;
  if (!type) return [];
  return [
    {
      name,
      type: type.toString('latin1') as KeyType,
      expiresAt: expiresInMs < 0 ? null : now + expiresInMs,
      values: values.map((value) => value.toString('latin1')),
    },
  ];
}

/** Names of keys with a prefix, without the prefix, in batches. A key that exists all the time is returned at least once. */
export async function* scanNames(redis: RedisClient, prefix: string): AsyncGenerator<string[], void, undefined> {
  const match = `${prefix.replaceAll(/[*?[\]\\]/g, String.raw`\$&`)}:*`;
  for (const node of redis instanceof Cluster ? redis.nodes('master') : [redis]) {
    let cursor = '0';
    do {
      const [next, keys] = await node.scan(cursor, 'MATCH', match, 'COUNT', scanAtOnce);
      cursor = next;
      if (keys.length > 0) yield keys.map((key) => key.slice(prefix.length + 1));
    } while (cursor !== '0');
  }
}
