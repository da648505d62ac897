export type KeyType = 'string' | 'hash' | 'list' | 'set' | 'zset' | 'stream';

/** A key as stored in a backup, independent of the version of Redis. Texts have one byte per character (latin1). */
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

/** A study with all its stored data, at one point in time. */
export interface StudyEntry {
  readonly source: string;
  readonly orthancStudyId: string;
  readonly deliveryIds: readonly string[];
  /** Held deliveries. */
  readonly held: readonly string[];
  readonly keys: readonly KeyEntry[];
}
