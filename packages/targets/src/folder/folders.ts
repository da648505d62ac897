import { chmod, chown, mkdir, open, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fsCode } from './errors.ts';
import type { Place } from './place.ts';

/** Makes the folders of a layout as they are needed, each once a run, with owner and mode. */
export class Folders {
  readonly #place: Place;
  readonly #made = new Map<string, Promise<void>>();

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

  /** Makes the names in a folder durable, where the target asks for it and the file system can. */
  async sync(relative: string): Promise<void> {
    const { config, act } = this.#place;
    if (!config.fsync) return;
    await act('Syncing a folder', () => syncFolder(join(config.path, relative)));
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
