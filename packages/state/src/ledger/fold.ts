import type { RedisClient } from '../redis/redis-client.ts';
import { decodeEntry, encodeField, encodeStored, isVersion } from './entry-codec.ts';
import { decodeFolded, encodeFolded, type FoldedEntry } from './folded-codec.ts';
import { shardCount, shardOf } from './ledger-keys.ts';
import { foldScript, readScript, unfoldScript } from './ledger-scripts.ts';
import type { InstanceVersion, LedgerEntry } from './ledger-types.ts';

/** A single entry takes less space in a hash. */
const fewestEntries = 2;
/** A fold is one call, which takes Redis about 3 µs per entry: a larger ledger stays in its hashes. */
const maxEntries = 10_000;
/** Entries that are unfolded in one call. */
const atOnce = 1_000;

/** The parts of a ledger in Redis. An entry in a hash takes precedence over a folded one of the same field. */
export interface StoredLedger {
  readonly hashes: ReadonlyMap<string, string>;
  readonly notes: ReadonlyMap<string, string>;
  readonly packed: Buffer | undefined;
  readonly folded: readonly FoldedEntry[];
}

/** @param keys - of `ledgerKeys` */
export async function readStored(redis: RedisClient, keys: readonly string[]): Promise<StoredLedger> {
  const answer = (await readScript.runBuffer(redis, keys.slice(0, shardCount + 2), [])) as (Buffer[] | Buffer | null)[];
  const packed = (answer[shardCount + 1] as Buffer | null) ?? undefined;
  return {
    hashes: new Map(answer.slice(0, shardCount).flatMap((flat) => pairs(flat as Buffer[]))),
    notes: new Map(pairs(answer[shardCount] as Buffer[])),
    packed,
    folded: packed ? decodeFolded(packed) : [],
  };
}

/** The entries of a ledger by their field. */
export function entriesOf({ hashes, notes, folded }: StoredLedger): Map<string, LedgerEntry> {
  const found = new Map<string, LedgerEntry>();
  for (const { field, note, ...entry } of folded) {
    const read = decodeEntry(encodeStored(entry), note === '' ? undefined : note);
    if (read) found.set(field, read);
  }
  for (const [field, value] of hashes) {
    const entry = decodeEntry(value, notes.get(field));
    if (entry) found.set(field, entry);
    else found.delete(field);
  }
  return found;
}

/**
 * Folds confirmed entries into one compressed value. The content of the ledger is the same before, during and after.
 *
 * @param instances - with known versions, whose entries take less space. With `fileUuid` the study has not changed for
 *   longer than the resolution of a version: the entry is then stored for the version, without the copy
 */
export async function foldLedger(
  redis: RedisClient,
  keys: readonly string[],
  studyInstanceUid: string,
  instances: readonly InstanceVersion[],
): Promise<void> {
  const stored = await readStored(redis, keys);
  const delivered = new Map(
    [...entriesOf(stored)].filter(([, { state, versionHash: hash }]) => state === 'delivered' && hash.length === 8),
  );
  const done = [...stored.hashes].filter(([field, value]) => delivered.has(field) || isRemoved(value));
  if (done.length === 0 || Math.max(done.length, delivered.size) > maxEntries || delivered.size < fewestEntries) return;
  const known = new Map(stored.folded.map((entry) => [entry.field, entry]));
  const sources = new Map<string, InstanceVersion>();
  for (const instance of instances) {
    sources.set(encodeField(studyInstanceUid, instance), instance);
  }
  const order = [...sources.keys()].filter((field) => delivered.has(field));
  const fields = new Set([...order, ...delivered.keys()]);
  const after = encodeFolded(
    [...fields].flatMap((field): FoldedEntry[] => {
      const entry = delivered.get(field);
      if (!entry) return [];
      const { versionHash: hash, attempt, at, delivery } = entry;
      const of = [sources.get(field), known.get(field)?.of].find((one) => one && isVersion(hash, one));
      const note = stored.hashes.has(field) ? stored.notes.get(field) : known.get(field)?.note;
      return [
        {
          field,
          of: of && { seriesInstanceUid: of.seriesInstanceUid, version: of.version },
          versionHash: hash,
          attempt,
          at,
          delivery,
          note: note ?? '',
        },
      ];
    }),
  );
  const args = done.flatMap(([field, value]) => [shardOf(field), field, value, stored.notes.get(field) ?? '']);
  // If another process has folded, unfolded or removed entries meanwhile, nothing changes: folding only saves memory.
  await foldScript.run(redis, keys, [stored.packed ?? '', after, ...args]);
}

/** Moves all folded entries back into hashes. */
export async function unfoldLedger(redis: RedisClient, keys: readonly string[]): Promise<void> {
  const { packed, folded } = await readStored(redis, keys);
  if (!packed) return;
  for (let from = 0; ; from += atOnce) {
    const some = folded.slice(from, from + atOnce);
    const isLast = from + atOnce >= folded.length;
    const args = some.flatMap((entry) => [shardOf(entry.field), entry.field, encodeStored(entry), entry.note]);
    // If the ledger has changed meanwhile, the caller tries again.
    if ((await unfoldScript.run(redis, keys, [packed, isLast ? '1' : '', ...args])) !== 1 || isLast) return;
  }
}

/** Whether a field has no entry any more, although a folded one may exist. */
function isRemoved(value: string): boolean {
  return value === 'x';
}

function pairs(flat: readonly Buffer[]): [string, string][] {
  const found: [string, string][] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) found.push([String(flat[at]), String(flat[at + 1])]);
  return found;
}
