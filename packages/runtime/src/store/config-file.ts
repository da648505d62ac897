import { access, chmod, chown, link, open, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { configDigest, type ConfigText, type CurrentConfig } from './current-config.ts';

/** The configuration of one machine: a file. */
export class ConfigFile implements CurrentConfig {
  readonly kind = 'file';
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get title(): string {
    return this.path;
  }

  get fileName(): string {
    return basename(this.path);
  }

  async isThere(): Promise<boolean> {
    return access(this.path).then(
      () => true,
      () => false,
    );
  }

  /** @throws the error of the file system */
  async read(): Promise<ConfigText> {
    const text = await readFile(this.path, 'utf8');
    return { text, digest: configDigest(text) };
  }

  /** Writes a candidate that services check before it becomes the configuration, with owner and permissions of the file. */
  async offer(id: string, text: string): Promise<void> {
    const path = await candidatePath(this.path, id);
    await this.#removeLeftOvers();
    const { mode, uid, gid } = await stat(this.path);
    try {
      const file = await open(path, 'wx', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      const own = process.getuid?.();
      if (own === 0 && (uid !== own || gid !== process.getgid?.())) await chown(path, uid, gid);
      await chmod(path, mode & 0o777);
    } catch (error) {
      // On a full disk a part of it would remain.
      await this.withdraw(id);
      throw error;
    }
  }

  /** Removes the files that a killed console left behind. Changes are made one at a time, so none is in use. */
  async #removeLeftOvers(): Promise<void> {
    const path = await realpath(this.path);
    const isLeft = (name: string): boolean =>
      name.startsWith(`${basename(path)}.`) && /\.[0-9a-f]{16}\.(candidate|before)$/.test(name);
    const names = (await readdir(dirname(path))).filter(isLeft);
    await Promise.all(names.map((name) => rm(join(dirname(path), name), { force: true })));
  }

  async withdraw(id: string): Promise<void> {
    await candidatePath(this.path, id)
      .then((path) => rm(path, { force: true }))
      .catch(() => {});
  }

  /** A manual edit in the meantime is kept. */
  async commit(id: string, base: string): Promise<boolean> {
    const path = await realpath(this.path);
    const kept = `${path}.${id}.before`;
    await link(path, kept);
    try {
      const [now, old] = await Promise.all([stat(path), stat(kept)]);
      if (now.ino !== old.ino || (await digestOf(kept)) !== base) return false;
      await rename(await candidatePath(this.path, id), path);
      // An editor that was saving at that moment wrote into the replaced file: its content counts.
      if ((await digestOf(kept)) !== base) {
        await rename(kept, path);
        return false;
      }
      await syncFolder(dirname(path));
      return true;
    } finally {
      // A candidate that cannot be removed is removed by the next change; it must not hide whether this one was made.
      await rm(kept, { force: true }).catch(() => {});
    }
  }
}

/** Beside the file itself, even if its name is a link: within a folder, one rename replaces the file. */
export async function candidatePath(file: string, id: string): Promise<string> {
  return `${await realpath(file)}.${id}.candidate`;
}

async function digestOf(path: string): Promise<string> {
  return configDigest(await readFile(path, 'utf8'));
}

async function syncFolder(path: string): Promise<void> {
  try {
    await using folder = await open(path, 'r');
    await folder.sync();
  } catch {
    // Not every file system supports it.
  }
}
