import { createHash } from 'node:crypto';

/** The text of a configuration, and its identification. */
export interface ConfigText {
  readonly text: string;
  /** SHA-256 of the text, in hexadecimal digits. */
  readonly digest: string;
}

export function configDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Data of a change in the history. */
export interface ChangeNote {
  readonly author: string;
  readonly reason: string;
}

/** Location of the configuration that all services use: a file, or Redis. It is always replaced completely. */
export interface CurrentConfig {
  readonly kind: 'file' | 'redis';
  /** The path of the file, or the name of the configuration in Redis; for users. */
  readonly title: string;
  /** Its name in patches. */
  readonly fileName: string;
  /** Whether there is one, valid or not. */
  isThere(): Promise<boolean>;
  /** @throws ConfigError, or the error of the file system or Redis */
  read(): Promise<ConfigText>;
  /** Writes a candidate that services check before it becomes the configuration. */
  offer(id: string, text: string): Promise<void>;
  /** Removes a candidate; one that cannot be removed now is removed by the next change, or by its age. */
  withdraw(id: string): Promise<void>;
  /**
   * Replaces the configuration with a candidate, if it has not changed.
   *
   * @param base - digest of the replaced version
   * @returns whether it was done
   */
  commit(id: string, base: string, note: ChangeNote): Promise<boolean>;
  /**
   * Stores the current version on the disk of this host, unless it is stored there anyway. @throws the error of the file
   * system
   */
  remember?(): Promise<void>;
}

/** A version of the configuration, in use from a time on. */
export interface ConfigVersion extends ChangeNote, ConfigText {
  readonly number: number;
  /** ms since 1970 */
  readonly at: number;
}
export type ConfigVersionFacts = Omit<ConfigVersion, 'text'>;

/** The history of a configuration. */
export interface VersionStore {
  /** Its location, for users. */
  readonly title: string;
  /** The newest first, without their texts. */
  list(limit?: number): Promise<ConfigVersionFacts[]>;
  /** Undefined if there is none, and if it cannot be read. */
  read(number: number): Promise<ConfigVersion | undefined>;
  newest(): Promise<ConfigVersion | undefined>;
  /** Records a version, unless the newest one has the same text. @returns the version with this text */
  add(entry: ChangeNote & { readonly text: string }): Promise<ConfigVersion>;
}

export const maxNoteLength = 200;
