import { redisKeys } from '../keys/redis-keys.ts';
import { ledgerKeys } from '../ledger/ledger-keys.ts';
import { decodeData } from '../records/stored-form.ts';
import type { RedisClient } from '../redis/redis-client.ts';
import { defineScript } from '../redis/script.ts';
import { TargetPlaces } from '../target-places/index.ts';
import type { StudyEntry } from './key-entry.ts';
import { keyEntry, readKey, type KeyAnswer } from './read-keys.ts';

const scanAtOnce = 200;
const maxTries = 20;

/**
 * Reads a study with its deliveries at one point in time, unless it has got another delivery since they were listed.
 * KEYS: deliveries of the study, held, then the keys to read. ARGV: ids of the deliveries.
 * Returns: the content of each key, and 1 for each held delivery; false if the deliveries have changed.
 */
const script = defineScript(`${readKey}
local known = {}
for _, id in ipairs(ARGV) do known[id] = true end
local held = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if not known[id] then return false end
end
for i, id in ipairs(ARGV) do held[i] = redis.call('SISMEMBER', KEYS[2], id) end
local answers = {}
for i = 3, #KEYS do answers[i - 2] = read(KEYS[i]) end
return { answers, held }
`);

/**
 * All known studies, each at one point in time. A study that is routed meanwhile may be missing; one that exists all the
 * time is not. A study may be returned twice.
 */
export async function* readStudies(
  redis: RedisClient,
  prefix: string,
  now: () => Promise<number>,
): AsyncGenerator<StudyEntry[], void, undefined> {
  const index = redisKeys(prefix).index('studies');
  const ledgers = new LedgerNames(redis, prefix);
  let cursor = '0';
  do {
    const [next, flat] = await redis.zscan(index, cursor, 'COUNT', scanAtOnce);
    cursor = next;
    const members = flat.filter((_, at) => at % 2 === 0);
    const at = await now();
    yield await Promise.all(members.map((member) => readStudy(redis, prefix, member, ledgers, at)));
  } while (cursor !== '0');
}

/** @throws Error if the study gets deliveries faster than it can be read */
async function readStudy(
  redis: RedisClient,
  prefix: string,
  member: string,
  ledgers: LedgerNames,
  now: number,
): Promise<StudyEntry> {
  const keys = redisKeys(prefix);
  const [source = '', orthancStudyId = ''] = member.split(' ');
  const listed = keys.studyDeliveries(source, orthancStudyId);
  for (let tries = 0; tries < maxTries; tries += 1) {
    const ids = await redis.zrange(listed, '0', '-1');
    const targets = await ledgers.of(ids);
    const wanted = [
      keys.study(source, orthancStudyId),
      listed,
      keys.choices(source, orthancStudyId),
      ...ids.flatMap((id) => [
        keys.delivery(id),
        keys.events(id),
        keys.cancelled(id),
        keys.state(id),
        keys.receipt(id),
        keys.receiptOpen(id),
      ]),
      ...targets.flatMap((target) => ledgerKeys(prefix, { source, orthancStudyId, studyInstanceUid: '', target })),
    ];
    const answer = (await script.runBuffer(redis, [listed, keys.held, ...wanted], ids)) as
      | readonly [answers: readonly KeyAnswer[], held: readonly number[]]
      | null;
    if (answer === null) continue;
    const [answers, held] = answer;
    return {
      source,
      orthancStudyId,
      deliveryIds: ids,
      held: ids.filter((_, index) => held[index] === 1),
      keys: wanted.flatMap((key, index) => keyEntry(key.slice(prefix.length + 1), answers[index] ?? [], now)),
    };
  }
  throw new Error(`the study ${orthancStudyId} of ${source} keeps changing`);
}

/** Names of the ledgers that may contain confirmations of deliveries: one for each address of a target, and transform. */
class LedgerNames {
  readonly #redis: RedisClient;
  readonly #prefix: string;
  readonly #places: TargetPlaces;
  readonly #known = new Map<string, Promise<string[]>>();

  constructor(redis: RedisClient, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#places = new TargetPlaces(redis, prefix);
  }

  async of(deliveryIds: readonly string[]): Promise<string[]> {
    const names = await Promise.all(
      deliveryIds.map(async (id) => {
        const [data, ledger] = await this.#redis.hmget(redisKeys(this.#prefix).delivery(id), 'data', 'ledger');
        if (data === null || data === undefined) return [];
        const { target, transform } = decodeData(data, id);
        const all = await this.#ledgersOf(target);
        const suffix = transform ? `+${transform.name}` : '';
        return [...all, ...(ledger ? [ledger] : [])].map((one) => `${one}${suffix}`);
      }),
    );
    return [...new Set(names.flat())];
  }

  #ledgersOf(target: string): Promise<string[]> {
    const known = this.#known.get(target) ?? this.#places.ledgers(target);
    this.#known.set(target, known);
    return known;
  }
}
