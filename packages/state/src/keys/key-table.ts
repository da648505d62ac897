import { deliveryKeys } from './delivery-keys.ts';
import type { KeyRow } from './key-row.ts';
import { operatorKeys } from './operator-keys.ts';
import { sourceKeys } from './source-keys.ts';
import { systemKeys } from './system-keys.ts';
import { targetKeys } from './target-keys.ts';

/**
 * Every Redis key and channel: the only list of them. `redis-keys.ts` builds them, the table in
 * docs/architecture.md is generated from it, and tests verify that nothing else is in Redis.
 */
export const keyTable: readonly KeyRow[] = [
  ...systemKeys,
  ...deliveryKeys,
  ...sourceKeys,
  ...targetKeys,
  ...operatorKeys,
];

/** The rows as the table of docs/architecture.md. */
export function keyTableMarkdown(): string {
  const rows = keyTable.map(({ keys, kind, what, lives, backup }) => {
    const names = keys.map((key) => `\`:${key}\``).join(', ');
    const isSaved = backup === 'no' ? '' : 'yes';
    return `| ${kind === 'channel' ? `channels ${names}` : names} | ${what} | ${lives} | ${isSaved} |`;
  });
  return ['| Key | What | Lives | In a backup |', '|---|---|---|---|', ...rows].join('\n');
}

const saved = Map.groupBy(
  keyTable
    .filter(({ backup }) => backup !== 'study' && backup !== 'no')
    .flatMap(({ keys, backup }) => keys.map((key) => ({ backup, first: firstPart(key), pattern: patternOf(key) }))),
  ({ first }) => first,
);

/**
 * In which part of a backup a key is read; undefined if it is read with its study, or not at all. It is called for
 * every key, so it must be fast.
 *
 * @param name - without the prefix
 */
export function backupOf(name: string): 'first' | 'before' | 'last' | undefined {
  const row = saved.get(firstPart(name))?.find(({ pattern }) => pattern.test(name));
  return row?.backup as ReturnType<typeof backupOf>;
}

function firstPart(name: string): string {
  return name.split(':', 1)[0] ?? '';
}

/** The row of a key; undefined for a key that is not in the table. */
export function rowOfKey(prefix: string, key: string): KeyRow | undefined {
  if (!key.startsWith(`${prefix}:`)) return undefined;
  const rest = key.slice(prefix.length + 1);
  return keyTable.find(({ keys }) => keys.some((pattern) => patternOf(pattern).test(rest)));
}

function patternOf(key: string): RegExp {
  const source = key
    .split(/([A-Z]+|…|\*)/)
    .map((part) => {
      if (part === '…' || part === '*') return '.*';
      return /^[A-Z]+$/.test(part) ? '[^:]+' : part.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
    })
    .join('');
  return new RegExp(`^${source}$`, 's');
}
