/** One row of the table of keys in docs/architecture.md. */
export interface KeyRow {
  /** Keys or channels without the prefix. Words in capitals represent a value without a colon; `…` and `*` any rest. */
  readonly keys: readonly string[];
  readonly kind: 'key' | 'channel';
  readonly what: string;
  readonly lives: string;
  /**
   * Whether a backup includes it:
   *
   * - `first`: yes, all of these at one point in time, before the studies
   * - `before`: yes, after the keys of `first` and before the studies, each at its own time
   * - `study`: yes, with its study
   * - `last`: yes, after the studies
   * - `no`: it can be derived again, is useless later, or is secret
   */
  readonly backup: 'first' | 'before' | 'study' | 'last' | 'no';
}
