import { chmod, chown, mkdir, open, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fsCode } from './errors.ts';
import type { Place } from './place.ts';

/** Makes the folders of a layout as they are needed, each once a run, with owner and mode. */
export class Folders {
  readonly #place: Place;
  readonly #made = new Map<string, Promise<void>>();
  readonly #syncing = new Map<string, Promise<void>>();
  readonly #nextSync = new Map<string, Promise<void>>();

  constructor(place: Place) {
    this.#place = place;
  }

  /** Makes sure that a folder is there; the path is relative, `.` is the target's folder itself. */
  ensure(relative: string): Promise<void> {
    if (relative === '.') return Promise.resolve();
    let making = this.#made.get(relative);
    if (!making) {
      making = this.#make(relative);
      this.#made.set(relative, making);
    }
    return making;
  }

  async #make(relative: string): Promise<void> {
    await this.ensure(dirname(relative));
    const { config, act } = this.#place;
    const path = join(config.path, relative);
    const isNew = await act('Creating a folder', () => makeFolder(path));
    if (!isNew) return;
    await act('Setting owner and mode of a folder', async () => {
      if (config.owner) await chown(path, config.owner.uid, config.owner.gid);
      if (config.directoryMode !== undefined) await chmod(path, config.directoryMode);
    });
    await this.sync(dirname(relative));
  }

  /**
   * Makes the names in a folder durable, where the target asks for it and the file system can. Lanes that ask while one
   * sync runs share the next: one under way may have begun before their names were there.
   */
  async sync(relative: string): Promise<void> {
    if (!this.#place.config.fsync) return;
    let next = this.#nextSync.get(relative);
    if (!next) {
      next = this.#syncAfter(relative, this.#syncing.get(relative));
      this.#nextSync.set(relative, next);
    }
    await next;
  }

  async #syncAfter(relative: string, before: Promise<void> | undefined): Promise<void> {
    // Whoever waited for that one has its error.
    await before?.catch(() => {});
    const { config, act } = this.#place;
    const syncing = act('Syncing a folder', () => syncFolder(join(config.path, relative)));
    this.#syncing.set(relative, syncing);
    this.#nextSync.delete(relative);
    try {
      await syncing;
    } finally {
      if (this.#syncing.get(relative) === syncing) this.#syncing.delete(relative);
    }
  }
}

async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if (fsCode(error) !== 'EEXIST') throw error;
    if ((await stat(path)).isDirectory()) return false;
    throw Object.assign(new Error('a file is where a folder should be', { cause: error }), { code: 'ENOTDIR' });
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Folders cannot be synced on some shares (SMB, FUSE) though files can.
    if (!['EINVAL', 'ENOTSUP', 'EBADF', 'EISDIR', 'EPERM'].includes(fsCode(error) ?? '')) throw error;
  } finally {
    await folder.close();
  }
}
