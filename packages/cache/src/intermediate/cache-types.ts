/** A result without its bytes. */
export interface CacheEntry {
  readonly type: string;
  readonly key: string;
  /** ms since 1970. */
  readonly createdAt: number;
  /** Of the result as it was put, not as it is stored. */
  readonly sizeBytes: number;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Changes with each put: see `PutOptions.expect`. */
  readonly stamp: string;
}

export interface CachedValue extends CacheEntry {
  readonly bytes: Buffer;
}

/** A result to be read in pieces. Read `body` to its end or leave its loop; otherwise call `close`. */
export interface CachedStream extends CacheEntry {
  readonly body: AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/**
 * - `miss`: not cached; or, with a warning, too large to be held in memory, or the folder failed
 * - `expired`: cached until now, but too old
 * - `corrupt`: cached, but unreadable; it was removed, and a warning was emitted
 * - `unavailable`: the cache is off, or Redis does not respond
 */
export type Lookup<T> = { readonly state: 'hit'; readonly value: T } | { readonly state: Absence };
export type Absence = 'miss' | 'expired' | 'corrupt' | 'unavailable';

export interface PutOptions {
  /**
   * It contains patient data: in Redis only encrypted, with the configured secret. Without one it is stored in the folder,
   * regardless of its size, and without a folder it is not stored.
   */
  readonly confidential?: boolean;
  /** Metadata of up to 4 KB beside the value, as JSON. No patient data: it is protected no better than a log. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** The use to which a `transient` result belongs (the id of an attempt); without one, such a result is not stored. */
  readonly use?: string;
  /** Put only if the entry still has this stamp; `absent`: only if it does not exist. */
  readonly expect?: string | 'absent';
  /** Replaces the policy's age. 0 = no limit. */
  readonly maxAgeMs?: number;
  /** Store it in Redis even if a folder is configured. */
  readonly inRedis?: boolean;
}

/**
 * - `stored`
 * - `over-budget`: stored, but persistent results alone now exceed the budget
 * - `changed`: not stored, because the entry has changed
 * - `dropped`: not stored; a warning reports the reason, unless the configuration does not store such results
 */
export type PutResult = 'stored' | 'over-budget' | 'changed' | 'dropped';

export type CacheWarningCode =
  | 'redis-unavailable'
  | 'corrupt-value'
  | 'too-large'
  | 'not-encodable'
  /** There is no secret for confidential results; reported once for each type. */
  | 'not-confidential'
  | 'budget-exceeded'
  | 'persistent-over-budget'
  | 'folder-failed';

/** A problem that only makes the cache less useful. Without patient data. */
export interface CacheWarning {
  readonly code: CacheWarningCode;
  readonly message: string;
  readonly type?: string;
  readonly cause?: unknown;
}

export interface TypeStats {
  readonly entries: number;
  /** In Redis, overhead included. */
  readonly bytes: number;
  /** In the folders. */
  readonly fileBytes: number;
  readonly hits: number;
  readonly misses: number;
  /** hits ÷ (hits + misses); 0 before the first. */
  readonly hitRate: number;
  readonly evictions: number;
  readonly expired: number;
}

export interface CacheStats extends TypeStats {
  /** 0 = no limit. */
  readonly maxBytes: number;
  readonly persistentBytes: number;
  readonly types: Readonly<Record<string, TypeStats>>;
}
