export { backupOf, keyTable, keyTableMarkdown, rowOfKey } from './key-table.ts';
export type { KeyRow } from './key-row.ts';
export { redisKeys, type RedisKeys } from './redis-keys.ts';
export {
  checkFormat,
  currentFormat,
  FormatError,
  migrations,
  openFormat,
  type FormatOptions,
  type FormatState,
  type Migration,
} from './migrate.ts';
