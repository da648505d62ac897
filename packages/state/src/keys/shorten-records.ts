import type { Redis } from 'ioredis';
import { decodeData, decodeStudy, encodeData, encodeStudy } from '../records/stored-form.ts';
import { foldTimeline } from '../records/timeline.ts';
import { defineScript } from '../redis/script.ts';
import { redisKeys } from './redis-keys.ts';
import { withoutLock, type StepContext } from './step-context.ts';

/** Records in one call: between calls Redis executes other commands. */
const atOnce = 200;
const openStates = ['waiting', 'active'];
const endStates = ['delivered', 'partial', 'failed', 'source-gone', 'cancelled', 'moved', 'resolved'];

/** KEYS: studies. ARGV: for each its record before and now. A record that has changed meanwhile stays. */
const studiesScript = defineScript(`
for i, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[2 * i - 1] then redis.call('SET', key, ARGV[2 * i]) end
end
`);

/** KEYS: deliveries, each with its timeline. ARGV: '1' if they have ended, then for each its data before and now. */
const deliveriesScript = defineScript(`${foldTimeline}
for i = 1, #KEYS, 2 do
  local before, now = ARGV[i + 1], ARGV[i + 2]
  if before ~= now and redis.call('HGET', KEYS[i], 'data') == before then redis.call('HSET', KEYS[i], 'data', now) end
  if ARGV[1] == '1' then fold_timeline(KEYS[i], KEYS[i + 1]) end
end
`);

/**
 * Converts the records of studies and deliveries to lists of values, and puts short timelines of ended deliveries into
 * their records (format 6). Records in the former form can be read, so those that no index has are left. Damaged ones are
 * left too, and their keys reported. If interrupted, it continues; if repeated, it changes nothing.
 */
export async function shortenRecords(redis: Redis, prefix: string, context: StepContext = withoutLock): Promise<void> {
  const keys = redisKeys(prefix);
  /** Undefined if the record is damaged. */
  function convert(key: string, act: () => string): string | undefined {
    try {
      return act();
    } catch {
      context.onDamaged(key);
      return undefined;
    }
  }
  await walk(redis, keys.index('studies'), context, async (members) => {
    const studies = members.map((member) => {
      const [source = '', orthancStudyId = ''] = member.split(' ');
      return { source, orthancStudyId };
    });
    const names = studies.map(({ source, orthancStudyId }) => keys.study(source, orthancStudyId));
    const texts = await redis.mget(names);
    const changed = studies.flatMap((study, at) => {
      const text = texts[at];
      const now = text && isObject(text) && convert(names[at] ?? '', () => encodeStudy(decodeStudy(text, study)));
      return now ? [{ name: names[at] ?? '', text, now }] : [];
    });
    if (changed.length === 0) return;
    await studiesScript.run(
      redis,
      changed.map(({ name }) => name),
      changed.flatMap(({ text, now }) => [text, now]),
    );
  });
  for (const state of [...openStates, ...endStates]) {
    await walk(redis, keys.index(`state:${state}`), context, async (ids) => {
      const texts = await Promise.all(ids.map((id) => redis.hget(keys.delivery(id), 'data')));
      const found = ids.flatMap((id, at) => {
        const text = texts[at];
        if (!text) return [];
        const now = isObject(text) && convert(keys.delivery(id), () => encodeData(decodeData(text, id)));
        return [{ id, text, now: now || text }];
      });
      if (found.length === 0) return;
      await deliveriesScript.run(
        redis,
        found.flatMap(({ id }) => [keys.delivery(id), keys.events(id)]),
        [endStates.includes(state) ? '1' : '', ...found.flatMap(({ text, now }) => [text, now])],
      );
    });
  }
}

async function walk(
  redis: Redis,
  index: string,
  context: StepContext,
  act: (members: string[]) => Promise<void>,
): Promise<void> {
  let cursor = '0';
  do {
    const [next, flat] = await redis.zscan(index, cursor, 'COUNT', atOnce);
    const members = flat.filter((_, at) => at % 2 === 0);
    for (let from = 0; from < members.length; from += atOnce) {
      await act(members.slice(from, from + atOnce));
      await context.renew();
    }
    cursor = next;
  } while (cursor !== '0');
}

function isObject(text: string): boolean {
  return text.startsWith('{');
}
