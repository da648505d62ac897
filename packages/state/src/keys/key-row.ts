/** One row of the table of keys in docs/architecture.md. */
export interface KeyRow {
  /**
   * Keys or channels without the prefix. Words in capitals stand for a value without a colon; `…` and `*` for any rest.
   */
  readonly keys: readonly string[];
  readonly kind: 'key' | 'channel';
  readonly what: string;
  readonly lives: string;
  /**
   * Whether a backup has it:
   *
   * - `first`: yes, all of these as of one moment, before the studies
   * - `before`: yes, before the studies and after those, each at its own time
   * - `study`: yes, with the study that it is of
   * - `last`: yes, after the studies
   * - `no`: it is made anew, is of no use to anybody later, or is secret
   */
  readonly backup: 'first' | 'before' | 'study' | 'last' | 'no';
}
