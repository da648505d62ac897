import { redisKeys } from '../keys/redis-keys.ts';
import type { LedgerKey } from './ledger-types.ts';

/**
 * A ledger is distributed over four hashes, and one for the notes of its few instances with warnings. Redis keeps a
 * hash compact (65 bytes per instance instead of 110) only up to 512 fields, so a study of about 1,900 instances stays
 * compact (docs/decisions/0013-ledger-layout.md).
 */
export const shardCount = 4;

/** `<prefix>:ledger:<source>:<study>:<target>` with `:0` to `:3` for the shards, then `:notes` and `:folded`. */
export function ledgerKeys(prefix: string, key: LedgerKey): string[] {
  const base = redisKeys(prefix).ledger(key.source, key.orthancStudyId, key.target);
  return [...Array.from({ length: shardCount }, (_, shard) => `${base}:${shard}`), `${base}:notes`, `${base}:folded`];
}

/** The shard of an instance, from 1, as KEYS of a script count. FNV-1a over the field: even, and cheap. */
export function shardOf(field: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < field.length; at += 1) hash = Math.imul(hash ^ field.charCodeAt(at), 0x01000193);
  return ((hash ^ (hash >>> 16)) & (shardCount - 1)) + 1;
}
