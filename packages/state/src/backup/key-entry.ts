export type KeyType = 'string' | 'hash' | 'list' | 'set' | 'zset' | 'stream';

/** One key as it is kept in a backup, independent of the version of Redis. Texts hold one byte a character (latin1). */
export interface KeyEntry {
  /** Without the prefix. */
  readonly name: string;
  readonly type: KeyType;
  /** By the clock of Redis (ms since 1970); null: it does not expire. */
  readonly expiresAt: number | null;
  /**
   * - `string`: the value
   * - `hash`: field, value, …
   * - `list`, `set`: the elements
   * - `zset`: member, score, …
   * - `stream`: for each entry its id, the number of texts that follow, and its fields and values
   */
  readonly values: readonly string[];
}

/** A study with all that is kept of it, as of one moment. */
export interface StudyEntry {
  readonly source: string;
  readonly orthancStudyId: string;
  readonly deliveryIds: readonly string[];
  /** Those that somebody holds. */
  readonly held: readonly string[];
  readonly keys: readonly KeyEntry[];
}
