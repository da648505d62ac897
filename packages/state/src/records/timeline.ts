import type { Redis } from 'ioredis';
import { defineScript } from '../redis/script.ts';
import type { DeliveryEvent } from './record-types.ts';

/** Longer values would make Redis store the record in its larger form, with `hash-max-listpack-value 1024`. */
const longestField = 900;

/** A longer list is not read: hardly any would fit, as an event takes about 23 bytes at least. */
const mostEvents = 30;

/**
 * Frequent parts of events, and the byte that stands for each in a record, in the order in which they are replaced: later
 * ones contain bytes of earlier ones. JSON has no such bytes: it escapes them. A text without them is read as it is.
 */
const shortParts: readonly (readonly [byte: string, part: string])[] = [
  ['\u0001', '{"at":'],
  ['\u0002', ',"kind":"'],
  ['\u0003', '","attempt":'],
  ['\u0004', ',"worker":"'],
  ['\u0005', '","text":"'],
  ['\u0006', ',"text":"'],
  ['\u0007', '"}'],
  // Of a delivery that succeeds at its first attempt.
  ['\u000E', '\u0002started\u00031\u0004'],
  ['\u000F', '\u0005attempt 1 started\u0007'],
  ['\u0010', '\u0002ended\u00031\u0006'],
  ['\u0011', ' instances sent, '],
  ['\u0012', ' were already there\u0007'],
];

/**
 * Lua: `fold_timeline(record, list)` moves a short timeline into the field `events` of an existing record,
 * `unfold_timeline(record, list)` moves it back.
 */
export const foldTimeline = `
local function short_events(text)
${shortParts.map(([byte, part]) => `  text = string.gsub(text, ${luaText(part)}, ${luaText(byte)})`).join('\n')}
  return text
end
local function long_events(text)
${shortParts
  .map(([byte, part]) => `  text = string.gsub(text, ${luaText(byte)}, ${luaText(part)})`)
  .toReversed()
  .join('\n')}
  return text
end
local function fold_timeline(record, list)
  if redis.call('LLEN', list) > ${mostEvents} then return end
  local text = short_events(table.concat(redis.call('LRANGE', list, 0, -1), '\\n'))
  local kept = redis.call('HGET', record, 'events')
  if kept and text ~= '' then text = kept .. '\\n' .. text end
  if text == '' or #text > ${longestField} or redis.call('HEXISTS', record, 'data') == 0 then return end
  redis.call('HSET', record, 'events', text)
  redis.call('DEL', list)
end
local function unfold_timeline(record, list)
  local kept = redis.call('HGET', record, 'events')
  if not kept then return end
  local lines = {}
  for line in string.gmatch(long_events(kept), '[^\\n]+') do table.insert(lines, 1, line) end
  redis.call('LPUSH', list, unpack(lines))
  redis.call('HDEL', record, 'events')
end
`;

/** KEYS: delivery, its timeline. Returns the events in its record as one text, and those in the list. */
const readScript = defineScript(`
return { redis.call('HGET', KEYS[1], 'events') or '', redis.call('LRANGE', KEYS[2], 0, -1) }
`);

/** The timeline of a delivery, oldest event first. */
export async function readTimeline(redis: Redis, record: string, list: string): Promise<DeliveryEvent[]> {
  const [text, listed] = (await readScript.run(redis, [record, list], [])) as [string, string[]];
  const long = shortParts.reduceRight((before, [byte, part]) => before.replaceAll(byte, part), text);
  const lines = [...(long === '' ? [] : long.split('\n')), ...listed];
  return lines.map((line) => JSON.parse(line) as DeliveryEvent);
}

/** A literal, also of control bytes. */
function luaText(text: string): string {
  const escaped = (code: number): string => `\\${String(code).padStart(3, '0')}`;
  return `'${Array.from(text, (one) => (one < ' ' ? escaped(one.charCodeAt(0)) : one)).join('')}'`;
}
