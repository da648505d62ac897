import type { DeliveryData } from '@dicom-dispatch/core';
import { redisKeys } from '../keys/redis-keys.ts';
import { ledgerKeys } from '../ledger/ledger-keys.ts';
import type { StudyKey } from '../records/record-reader.ts';
import { decodeData, decodeStudy } from '../records/stored-form.ts';
import type { RedisClient } from '../redis/redis-client.ts';
import { defineScript } from '../redis/script.ts';
import { TargetPlaces } from '../target-places/index.ts';
import type { StudyEntry } from './key-entry.ts';
import { keyEntry, readKey, scanNames, type KeyAnswer } from './read-keys.ts';

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
 * time is not. A study may be returned twice. Damaged records are returned like others.
 *
 * @param onDamaged - called with the key of each record that cannot be read
 */
export async function* readStudies(
  redis: RedisClient,
  prefix: string,
  now: () => Promise<number>,
  onDamaged: (key: string) => void = () => {},
): AsyncGenerator<StudyEntry[], void, undefined> {
  const index = redisKeys(prefix).index('studies');
  const context = { redis, prefix, ledgers: new LedgerNames(redis, prefix), onDamaged };
  /** Studies of which a delivery does not name its target: their ledgers are found by a search through all keys. */
  const unnamed = new Map<string, string[]>();
  let cursor = '0';
  do {
    const [next, flat] = await redis.zscan(index, cursor, 'COUNT', scanAtOnce);
    cursor = next;
    const members = flat.filter((_, at) => at % 2 === 0);
    const at = await now();
    const studies = await Promise.all(members.map((member) => readStudy(context, member, at)));
    for (const [place, member] of members.entries()) if (!studies[place]) unnamed.set(member, []);
    yield studies.filter((study) => study !== undefined);
  } while (cursor !== '0');
  if (unnamed.size === 0) return;
  for await (const names of scanNames(redis, prefix)) {
    for (const name of names) {
      const [kind, source, orthancStudyId, target = ''] = name.split(':');
      if (kind === 'ledger') unnamed.get(`${source} ${orthancStudyId}`)?.push(target);
    }
  }
  for (const [member, targets] of unnamed) {
    const study = await readStudy(context, member, await now(), targets);
    if (study) yield [study];
  }
}

interface ReadContext {
  readonly redis: RedisClient;
  readonly prefix: string;
  readonly ledgers: LedgerNames;
  readonly onDamaged: (key: string) => void;
}

/**
 * @param found - names of all its ledgers, if they were searched
 * @returns undefined if the data of a delivery is damaged, and its ledgers were not searched
 * @throws Error if the study gets deliveries faster than it can be read
 */
async function readStudy(
  { redis, prefix, ledgers, onDamaged }: ReadContext,
  member: string,
  now: number,
  found?: readonly string[],
): Promise<StudyEntry | undefined> {
  const keys = redisKeys(prefix);
  const [source = '', orthancStudyId = ''] = member.split(' ');
  const listed = keys.studyDeliveries(source, orthancStudyId);
  for (let tries = 0; tries < maxTries; tries += 1) {
    const ids = await redis.zrange(listed, '0', '-1');
    const named = await ledgers.of(ids);
    if (named.damaged.length > 0 && !found) return undefined;
    const targets = new Set([...named.targets, ...(found ?? [])]);
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
      ...[...targets].flatMap((target) => ledgerKeys(prefix, { source, orthancStudyId, studyInstanceUid: '', target })),
    ];
    const answer = (await script.runBuffer(redis, [listed, keys.held, ...wanted], ids)) as
      | readonly [answers: readonly KeyAnswer[], held: readonly number[]]
      | null;
    if (answer === null) continue;
    const [answers, held] = answer;
    for (const id of named.damaged) onDamaged(keys.delivery(id));
    if (!isReadable(answers[0], { source, orthancStudyId })) onDamaged(keys.study(source, orthancStudyId));
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

/** Whether the record of a study is missing, or can be read. */
function isReadable(answer: KeyAnswer | undefined, key: StudyKey): boolean {
  const text = answer?.[2]?.[0];
  if (text === undefined) return true;
  try {
    decodeStudy(text.toString(), key);
    return true;
  } catch {
    return false;
  }
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

  /** @returns `damaged`: ids of deliveries whose data cannot be read, and whose targets are therefore unknown */
  async of(
    deliveryIds: readonly string[],
  ): Promise<{ readonly targets: ReadonlySet<string>; readonly damaged: readonly string[] }> {
    const targets = new Set<string>();
    const damaged: string[] = [];
    await Promise.all(
      deliveryIds.map(async (id) => {
        const [text, ledger] = await this.#redis.hmget(redisKeys(this.#prefix).delivery(id), 'data', 'ledger');
        if (text === null || text === undefined) return;
        const data = readData(text, id);
        if (!data) {
          damaged.push(id);
          return;
        }
        const { target, transform } = data;
        const all = await this.#ledgersOf(target);
        const suffix = transform ? `+${transform.name}` : '';
        for (const one of [...all, ...(ledger ? [ledger] : [])]) targets.add(`${one}${suffix}`);
      }),
    );
    return { targets, damaged };
  }

  #ledgersOf(target: string): Promise<string[]> {
    const known = this.#known.get(target) ?? this.#places.ledgers(target);
    this.#known.set(target, known);
    return known;
  }
}

function readData(text: string, id: string): DeliveryData | undefined {
  try {
    return decodeData(text, id);
  } catch {
    return undefined;
  }
}
