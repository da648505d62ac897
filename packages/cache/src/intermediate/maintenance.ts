import type { CacheFolder } from './cache-folder.ts';
import { removeScript } from './cache-scripts.ts';
import type { CacheStore } from './cache-store.ts';
import type { CacheStats, TypeStats } from './cache-types.ts';

const scanCount = 500;

/** Lines of the catalog, in parts, each entry at least once. */
async function* catalog(store: CacheStore, match = '*'): AsyncGenerator<[member: string, line: string][]> {
  let cursor = '0';
  do {
    const answer = await store.ask((redis) =>
      redis.hscan(`${store.base}catalog`, cursor, 'MATCH', match, 'COUNT', scanCount),
    );
    if (!answer) return;
    const [next, flat] = answer;
    const found: [string, string][] = [];
    for (let at = 0; at + 1 < flat.length; at += 2) found.push([flat[at] ?? '', flat[at + 1] ?? '']);
    yield found;
    cursor = next;
  } while (cursor !== '0');
}

/** Removes every entry of a type, or all. Returns their number, and the orphaned files. */
export async function clearEntries(store: CacheStore, type: string | undefined) {
  let removed = 0;
  const files: string[] = [];
  for await (const entries of catalog(store, type === undefined ? '*' : `${type.replaceAll(/[*?[\]\\]/g, '\\$&')} *`)) {
    if (entries.length === 0) continue;
    const answer = await store.run(
      removeScript,
      entries.map(([member]) => member),
    );
    if (!Array.isArray(answer)) continue;
    removed += Number(answer[0]);
    files.push(...(answer[1] as string[]));
  }
  return { removed, files };
}

/** The files of a folder in the catalog; undefined if it cannot be read completely. */
export async function knownFiles(store: CacheStore, folderId: string): Promise<Set<string> | undefined> {
  const known = new Set<string>();
  const size = await store.ask((redis) => redis.hlen(`${store.base}catalog`));
  if (size === undefined) return undefined;
  for await (const entries of catalog(store, `* @${folderId}`)) {
    for (const [, line] of entries) known.add(line.split(' ')[6] ?? '');
  }
  // If reading the catalog were interrupted, existing files would look like orphans.
  return (await store.ask((redis) => redis.ping())) === undefined ? undefined : known;
}

export interface CacheAudit {
  readonly entries: number;
  readonly bytes: number;
  readonly fileBytes: number;
  /** Entries whose value no longer exists in Redis: the next access removes them. */
  readonly lost: number;
}

/** Counts the catalog again, for comparison with `stats`. Exact while there are no writes. */
export async function auditEntries(store: CacheStore): Promise<CacheAudit | undefined> {
  let [bytes, fileBytes, lost] = [0, 0, 0];
  const seen = new Set<string>();
  for await (const entries of catalog(store)) {
    for (const [member, line] of entries) {
      if (seen.has(member)) continue;
      seen.add(member);
      const words = line.split(' ');
      bytes += Number(words[2]);
      fileBytes += Number(words[3]);
      const there = await store.ask((redis) => redis.exists(`${store.base}entry:${member}`));
      if (there === 0) lost += 1;
    }
  }
  const answered = await store.ask((redis) => redis.ping());
  return answered === undefined ? undefined : { entries: seen.size, bytes, fileBytes, lost };
}

/** @returns undefined when Redis does not respond */
export async function readStats(store: CacheStore, maxBytes: number): Promise<CacheStats | undefined> {
  const totals = await store.ask((redis) => redis.hgetall(`${store.base}totals`));
  if (!totals) return undefined;
  const types = new Set(
    Object.keys(totals).flatMap((field) => {
      const [name, type] = field.split(':');
      return type !== undefined && name !== 'folder' ? [type] : [];
    }),
  );
  return {
    ...statsOf(totals, ''),
    maxBytes,
    persistentBytes: Number(totals['persistent'] ?? 0),
    types: Object.fromEntries([...types].sort().map((type) => [type, statsOf(totals, `:${type}`)])),
  };
}

function statsOf(totals: Record<string, string>, of: string): TypeStats {
  const number = (name: string): number => Number(totals[name + of] ?? 0);
  const hits = number('hits');
  const misses = number('misses');
  return {
    entries: number('entries'),
    bytes: number('bytes'),
    fileBytes: number('fileBytes'),
    hits,
    misses,
    hitRate: hits + misses === 0 ? 0 : hits / (hits + misses),
    evictions: number('evictions'),
    expired: number('expired'),
  };
}

/** Removes orphaned files of our folder; the machines of other folders sweep theirs. */
export async function removeFiles(folder: CacheFolder | undefined, files: readonly string[]): Promise<void> {
  if (!folder) return;
  const ours = files.filter((file) => file.startsWith(`${folder.id}/`)).map((file) => file.slice(folder.id.length + 1));
  await Promise.all(ours.map((file) => folder.remove(file).catch(() => {})));
}

export async function countMiss(store: CacheStore, type: string): Promise<void> {
  await store.ask((redis) =>
    redis
      .pipeline()
      .hincrby(`${store.base}totals`, 'misses', 1)
      .hincrby(`${store.base}totals`, `misses:${type}`, 1)
      .exec(),
  );
}
