import { createHash } from 'node:crypto';

/** The text of a configuration, and what tells it from others. */
export interface ConfigText {
  readonly text: string;
  /** SHA-256 of the text, in hexadecimal digits. */
  readonly digest: string;
}

export function configDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** What is noted of a change in the history. */
export interface ChangeNote {
  readonly author: string;
  readonly reason: string;
}

/** Where the configuration is kept that all services go by: a file, or Redis. It is changed as a whole and never in part. */
export interface CurrentConfig {
  readonly kind: 'file' | 'redis';
  /** The path of the file, or where in Redis it is; for people. */
  readonly title: string;
  /** The name that it has in patches. */
  readonly fileName: string;
  /** Whether there is one, whatever it says. */
  isThere(): Promise<boolean>;
  /** @throws ConfigError, or the error of the file system or Redis */
  read(): Promise<ConfigText>;
  /** Writes a candidate that services check before it becomes the configuration. */
  offer(id: string, text: string): Promise<void>;
  /** Removes a candidate; one that cannot be removed now is removed by the next change, or by its age. */
  withdraw(id: string): Promise<void>;
  /**
   * Puts a candidate in the place of the configuration, if that is still what it was.
   *
   * @param base - digest of what is replaced
   * @returns whether it was done
   */
  commit(id: string, base: string, note: ChangeNote): Promise<boolean>;
  /** Keeps what is in use now on the disk of this host, where that is not its place anyway. @throws the error of the file system */
  remember?(): Promise<void>;
}

/** A configuration as it was in use from a time on. */
export interface ConfigVersion extends ChangeNote, ConfigText {
  readonly number: number;
  /** ms since 1970 */
  readonly at: number;
}
export type ConfigVersionFacts = Omit<ConfigVersion, 'text'>;

/** The history of a configuration. */
export interface VersionStore {
  /** Where it is, for people. */
  readonly title: string;
  /** The newest first, without their texts. */
  list(limit?: number): Promise<ConfigVersionFacts[]>;
  /** Undefined when there is none, and when it cannot be read. */
  read(number: number): Promise<ConfigVersion | undefined>;
  newest(): Promise<ConfigVersion | undefined>;
  /** Notes a version, unless the newest one has the same text. @returns the version with this text */
  add(entry: ChangeNote & { readonly text: string }): Promise<ConfigVersion>;
}

export const maxNoteLength = 200;
