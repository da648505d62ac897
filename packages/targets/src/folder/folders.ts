import { existsSync } from 'node:fs';
import { constants, mkdir, open, readlink, realpath, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { fsCode } from './errors.ts';
import type { Place } from './place.ts';
import { FolderSyncs } from './sync-folders.ts';

/** If more folders than this are open, those that are not in use are closed. */
const heldAtMost = 64;
/** Whether names in an open folder can be used independently of later changes of its path (proc(5)). Other systems use paths. */
export const throughHandles = existsSync('/proc/self/fd');

/** A folder while it is in use. */
export interface HeldFolder {
  /** Path of the folder: an entry is this path, a slash and its name. */
  readonly base: string;
  readonly handle: FileHandle;
}

interface Held {
  readonly opening: Promise<HeldFolder>;
  users: number;
}

/**
 * The folders of a layout, created as needed, with owner and mode. Each is opened by its name in its parent, verified to be inside the
 * target's folder (unless `followLinks` is set), and used by its handle: neither a link that replaces it nor a share that is unmounted
 * during a delivery causes a write elsewhere.
 */
export class Folders implements AsyncDisposable {
  readonly #place: Place;
  readonly #held = new Map<string, Held>();
  readonly #syncs: FolderSyncs;

  constructor(place: Place) {
    this.#place = place;
    this.#syncs = new FolderSyncs(place);
  }

  /** Runs a function in a folder, creating it if needed; the path is relative, `.` is the target's folder itself. */
  async within<T>(relative: string, act: (folder: HeldFolder) => Promise<T>): Promise<T> {
    const held = await this.#take(relative, () => this.#make(relative));
    try {
      return await act(await held.opening);
    } finally {
      await this.#release(relative, held);
    }
  }

  /** The same for an existing folder; undefined if it does not exist. */
  async withinIfThere<T>(relative: string, act: (folder: HeldFolder) => Promise<T>): Promise<T | undefined> {
    let held: Held;
    try {
      held = await this.#take(relative, () => this.#open(relative));
    } catch (thrown) {
      if (thrown instanceof Error && fsCode(thrown.cause) === 'ENOENT' && relative !== '.') return undefined;
      throw thrown;
    }
    try {
      return await act(await held.opening);
    } finally {
      await this.#release(relative, held);
    }
  }

  /** Makes the names in a folder durable, if the target requires it and the file system supports it. */
  sync(relative: string): Promise<void> {
    return this.within(relative, ({ handle }) => this.#syncs.sync(relative, handle));
  }

  /** Call this for a folder that was removed while it was open: the next use creates it again. */
  forget(relative: string): void {
    const held = this.#held.get(relative);
    this.#held.delete(relative);
    if (held?.users === 0) void close(held);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#held.values()];
    this.#held.clear();
    await Promise.all(all.map(close));
  }

  async #take(relative: string, get: () => Promise<HeldFolder>): Promise<Held> {
    const held = this.#held.get(relative) ?? { opening: get(), users: 0 };
    // Moved to the end: the most recently used one is closed last.
    this.#held.delete(relative);
    this.#held.set(relative, held);
    held.users += 1;
    try {
      await held.opening;
      return held;
    } catch (thrown) {
      if (this.#held.get(relative) === held) this.#held.delete(relative);
      throw thrown;
    }
  }

  async #release(relative: string, held: Held): Promise<void> {
    held.users -= 1;
    if (held.users === 0 && this.#held.get(relative) !== held) await close(held);
    for (const [other, candidate] of this.#held) {
      if (this.#held.size <= heldAtMost) return;
      if (candidate.users > 0 || other === '.') continue;
      this.#held.delete(other);
      await close(candidate);
    }
  }

  async #open(relative: string): Promise<HeldFolder> {
    const { config, act } = this.#place;
    const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NONBLOCK;
    if (relative === '.') {
      const handle = await act('Opening the folder', () => open(config.path, flags), closeLate);
      return { handle, base: throughHandles ? `/proc/self/fd/${handle.fd}` : config.path };
    }
    return this.within(dirname(relative), async ({ base }) => {
      const path = `${base}/${basename(relative)}`;
      const handle = await act('Opening a folder', () => open(path, flags), closeLate);
      const opened = { handle, base: throughHandles ? `/proc/self/fd/${handle.fd}` : path };
      if (config.followLinks) return opened;
      try {
        await this.within('.', (root) => act('Checking a folder', () => assertInside(root, opened)));
        return opened;
      } catch (thrown) {
        await handle.close();
        throw thrown;
      }
    });
  }

  async #make(relative: string): Promise<HeldFolder> {
    if (relative === '.') return this.#open(relative);
    const { config, act } = this.#place;
    const isNew = await this.within(dirname(relative), ({ base }) =>
      act('Creating a folder', () => makeFolder(`${base}/${basename(relative)}`)),
    );
    const opened = await this.#open(relative);
    if (!isNew) return opened;
    try {
      await act('Setting owner and mode of a folder', async () => {
        if (config.owner) await opened.handle.chown(config.owner.uid, config.owner.gid);
        if (config.directoryMode !== undefined) await opened.handle.chmod(config.directoryMode);
      });
      await this.sync(dirname(relative));
      return opened;
    } catch (thrown) {
      await opened.handle.close();
      throw thrown;
    }
  }
}

function closeLate(late: FileHandle): void {
  late.close().catch(() => {});
}

async function close({ opening }: Held): Promise<void> {
  // An error does not matter: an open folder has no unsaved data.
  await opening.then(({ handle }) => handle.close()).catch(() => {});
}

async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if (fsCode(error) !== 'EEXIST') throw error;
    // A dangling link has the name and cannot be opened: it blocks the path like a file.
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory()) return false;
    throw Object.assign(new Error('a folder is missing', { cause: error }), { code: 'ENOTDIR' });
  }
}

/** @throws an error with code ENOTDIR when a link has led out of the target's folder */
async function assertInside(root: HeldFolder, folder: HeldFolder): Promise<void> {
  const real = throughHandles ? readlink : realpath;
  const [above, path] = await Promise.all([real(root.base), real(folder.base)]);
  if (path.startsWith(above.endsWith('/') ? above : `${above}/`)) return;
  throw Object.assign(new Error('a link leads out of the folder'), { code: 'ENOTDIR' });
}
