import { constants, open, rename, unlink } from 'node:fs/promises';
import { temporaryName } from '../template/index.ts';
import type { Folders } from './folders.ts';
import { removeIfThere } from './left-overs.ts';
import type { FolderTarget } from './schema.ts';
import type { Place } from './place.ts';

/** Writes a small file like an instance: with owner and mode, and synced. */
export async function writeProbe(path: string, { mode, owner, fsync }: FolderTarget): Promise<void> {
  const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
  try {
    await handle.write('dicom-dispatch probe\n');
    if (owner) await handle.chown(owner.uid, owner.gid);
    if (mode !== undefined) await handle.chmod(mode);
    if (fsync) await handle.sync();
  } catch (error) {
    await removeIfThere(path).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}

export async function renameProbe(path: string, renamed: string): Promise<void> {
  try {
    await rename(path, renamed);
    await unlink(renamed);
  } finally {
    await Promise.allSettled([removeIfThere(renamed), removeIfThere(path)]);
  }
}

/**
 * After a denied permission: whether only a folder of the layout is affected. While the target's folder itself accepts
 * files, other studies can still be delivered.
 */
export async function refusedWithin(place: Place, folders: Folders, folder: string): Promise<boolean> {
  if (folder === '.') return false;
  try {
    await folders.within('.', ({ base }) =>
      place.act('Writing a probe', async () => {
        const [probe, renamed] = [`${base}/${temporaryName('probe')}`, `${base}/${temporaryName('probe')}`];
        await writeProbe(probe, place.config);
        await renameProbe(probe, renamed);
      }),
    );
    return true;
  } catch {
    return false;
  }
}
