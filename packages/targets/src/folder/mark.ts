import { constants, copyFile, link, open, rename } from 'node:fs/promises';
import { checkPlace, markName, maxMarkBytes, type MarkedPlace, type PlaceFound } from '../place-mark/index.ts';
import type { TargetMemory } from '@dicom-dispatch/target-kit';
import { temporaryName } from '../template/index.ts';
import { fsCode } from './errors.ts';
import type { Folders, HeldFolder } from './folders.ts';
import { removeIfThere } from './left-overs.ts';
import type { Place } from './place.ts';

/** @throws {DispatchError} when the folder is not the one that the target was set up with */
export async function checkFolder(
  place: Place,
  folders: Folders,
  memory: TargetMemory | undefined,
  act: 'set up' | 'look',
): Promise<PlaceFound> {
  return folders.within('.', async (folder) => {
    const marked: MarkedPlace = {
      path: place.config.path,
      shown: place.config.path,
      folder: await place.act('Checking the folder', () => identify(folder)),
      read: () => place.act('Reading the mark of the folder', () => readMark(folder)),
      async write(content) {
        await place.act('Marking the folder', () => writeMark(folder, content, place.config.mode, 'replace'));
        await folders.sync('.');
      },
      async create(content) {
        const isNew = await place.act('Marking the folder', () => writeMark(folder, content, place.config.mode, 'new'));
        await folders.sync('.');
        return isNew;
      },
    };
    return checkPlace(marked, memory, act);
  });
}

/** Another file system, or another folder in its place, differs in one of these; undefined where births are not kept. */
async function identify({ handle }: HeldFolder): Promise<string | undefined> {
  const { dev, ino, birthtimeNs } = await handle.stat({ bigint: true });
  return birthtimeNs === 0n ? undefined : `${dev}:${ino}:${birthtimeNs}`;
}

async function readMark({ base }: HeldFolder): Promise<Buffer | undefined> {
  let handle;
  try {
    handle = await open(`${base}/${markName}`, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (fsCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(maxMarkBytes + 1), 0, maxMarkBytes + 1, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** @returns false when there was one already, and only a new one is wanted */
async function writeMark(
  { base }: HeldFolder,
  content: Buffer,
  mode: number | undefined,
  how: 'new' | 'replace',
): Promise<boolean> {
  const temporary = `${base}/${temporaryName('mark')}`;
  const handle = await open(temporary, 'wx', mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
    await handle.close();
    if (how === 'replace') await rename(temporary, `${base}/${markName}`);
    else {
      await placeNew(temporary, `${base}/${markName}`);
      await removeIfThere(temporary);
    }
    return true;
  } catch (error) {
    await handle.close().catch(() => {});
    await removeIfThere(temporary).catch(() => {});
    if (how === 'new' && fsCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** A name that is taken stays: by a link, or where the file system has none by an exclusive copy. */
async function placeNew(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (fsCode(error) === 'EEXIST') throw error;
    await copyFile(temporary, path, constants.COPYFILE_EXCL);
  }
}
