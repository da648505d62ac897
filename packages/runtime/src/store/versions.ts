import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import {
  configDigest,
  maxNoteLength,
  type ConfigVersion,
  type ConfigVersionFacts,
  type VersionStore,
} from './current-config.ts';

const configVersion: z.ZodType<ConfigVersion> = z.object({
  number: z.int().min(1),
  /** ms since 1970 */
  at: z.number(),
  author: z.string(),
  reason: z.string(),
  digest: z.string(),
  text: z.string(),
});

/** Maximum number of versions; older ones are removed. */
const maxVersions = 1000;
/** Above the largest configuration as JSON. */
const maxFileBytes = 32 * 1024 * 1024;
const fileName = /^(\d{6,})\.json$/;

/**
 * The versions of a configuration file, in a folder beside it: one file each, never changed. Several processes may write:
 * a number is reserved by creating its file.
 */
export class ConfigVersions implements VersionStore {
  readonly folder: string;

  constructor(configFile: string) {
    this.folder = `${configFile}.versions`;
  }

  get title(): string {
    return this.folder;
  }

  async list(limit = 100): Promise<ConfigVersionFacts[]> {
    const numbers = (await this.#numbers()).slice(-limit).reverse();
    const versions = await Promise.all(numbers.map((number) => this.read(number)));
    return versions.flatMap((version) => {
      if (!version) return [];
      const { text: _, ...facts } = version;
      return [facts];
    });
  }

  /** Undefined if there is none, and if it cannot be read: incompletely written by a killed process, damaged, not a file. */
  async read(number: number): Promise<ConfigVersion | undefined> {
    try {
      // Without blocking on an entry that is not a regular file.
      await using file = await open(this.#path(number), constants.O_RDONLY | constants.O_NONBLOCK);
      const stat = await file.stat();
      return !stat.isFile() || stat.size > maxFileBytes
        ? undefined
        : configVersion.parse(JSON.parse(await file.readFile('utf8')));
    } catch {
      return undefined;
    }
  }

  async newest(numbers?: readonly number[]): Promise<ConfigVersion | undefined> {
    for (const number of (numbers ?? (await this.#numbers())).toReversed()) {
      const version = await this.read(number);
      if (version) return version;
    }
    return undefined;
  }

  /**
   * Records a version, unless the newest one has the same text.
   *
   * @returns the version with this text
   * @throws the error of the file system
   */
  async add(entry: {
    readonly text: string;
    readonly author: string;
    readonly reason: string;
  }): Promise<ConfigVersion> {
    const digest = configDigest(entry.text);
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    for (;;) {
      // One try: another process that records the same text at the same time takes the number, and the check is repeated.
      const numbers = await this.#numbers();
      const newest = await this.newest(numbers);
      if (newest?.digest === digest) return newest;
      const version: ConfigVersion = {
        number: (numbers.at(-1) ?? 0) + 1,
        at: Date.now(),
        author: entry.author.slice(0, maxNoteLength),
        reason: entry.reason.slice(0, maxNoteLength),
        digest,
        text: entry.text,
      };
      if (await this.#write(version)) {
        await this.#prune();
        return version;
      }
    }
  }

  /** Atomically, so that no reader sees a part of it. False if another process has taken the number. */
  async #write(version: ConfigVersion): Promise<boolean> {
    const made = join(this.folder, `.${randomBytes(8).toString('hex')}`);
    try {
      const file = await open(made, 'wx', 0o600);
      try {
        await file.writeFile(`${JSON.stringify(version, undefined, 2)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await link(made, this.#path(version.number));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      await rm(made, { force: true });
    }
  }

  async #prune(): Promise<void> {
    const old = (await this.#numbers()).slice(0, -maxVersions);
    // Folders, and files of another owner, are left.
    await Promise.allSettled(old.map((number) => rm(this.#path(number), { force: true })));
  }

  async #numbers(): Promise<number[]> {
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    return names.flatMap((name) => Number(fileName.exec(name)?.[1] ?? 0) || []).sort((a, b) => a - b);
  }

  #path(number: number): string {
    return join(this.folder, `${String(number).padStart(6, '0')}.json`);
  }
}
